import CodeGeneration
import Execution
import Foundation
import Hardware
import IR
import ONNXFormat
import Passes
import Search
import Spaces
import Training

/// A reason to end with an exit status of our own.
struct Failure: Error, CustomStringConvertible {
    enum Status: Int32 {
        case comparisonFailed = 1
        case unsupported = 3
        case badInput = 4
        case infeasible = 5
        /// Stopped by the user, as shells count it.
        case interrupted = 130
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
        let status: Status =
            switch error {
            case is InfeasibleError: .infeasible
            case let error as SearchError where error.code == .failed: .comparisonFailed
            case let error as SearchError where error.code == .interrupted: .interrupted
            default: isUnsupported ? .unsupported : .badInput
            }
        self.init(status, "\(error)")
    }

    static func knows(_ error: any Error) -> Bool {
        error is ONNXError || error is ExportError || error is PassError || error is HardwareError
            || error is ShapeError
            || error is VerificationError || error is SpaceError || error is ParseError || error is SearchError
            || error is InfeasibleError
            || error is TrainingError || error is DataError || error is StorageError || error is ExecutionError
            || error is LinearModelError || (error as NSError).domain == NSCocoaErrorDomain
    }

    func exit() -> Never {
        Terminal.error("martlet: \(description)")
        Foundation.exit(status.rawValue)
    }
}
