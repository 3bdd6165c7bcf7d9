import CodeGeneration
import Foundation
import Hardware
import IR
import ONNXFormat
import Passes
import Spaces

/// A reason to end with an exit status of our own.
struct Failure: Error, CustomStringConvertible {
    enum Status: Int32 {
        case comparisonFailed = 1
        case unsupported = 3
        case badInput = 4
        case infeasible = 5
    }

    var status: Status
    var description: String

    init(_ status: Status, _ description: String) {
        self.status = status
        self.description = description
    }

    /// The failure that an error of one of the libraries is.
    init(_ error: any Error) {
        let isUnsupported =
            switch error {
            case let error as ONNXError: error.code == .unsupported
            case let error as ExportError: error.code == .unsupported
            case let error as PassError: error.pass == legaliseForC.name
            case let error as HardwareError: error.code == .unsupported
            default: false
            }
        self.init(isUnsupported ? .unsupported : .badInput, "\(error)")
    }

    static func knows(_ error: any Error) -> Bool {
        error is ONNXError || error is ExportError || error is PassError || error is HardwareError || error is ShapeError
            || error is VerificationError || error is SpaceError || error is ParseError || (error as NSError).domain == NSCocoaErrorDomain
    }

    func exit() -> Never {
        Terminal.error("martlet: \(description)")
        Foundation.exit(status.rawValue)
    }
}
