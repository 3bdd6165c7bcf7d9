import Training

/// A command line that cannot be understood.
struct UsageError: Error, CustomStringConvertible {
    var description: String
}

struct BenchmarkOptions {
    static let known = ["darts", "nb201", "mobilenet", "spos"]

    var cases = known
    var rounds = 7
    var threads = 2
    var batch: Int?
    /// Seconds of one turn, at least one step.
    var burst = 2.0
    /// The program that runs the other side; `nil` for ours alone.
    var python: String? = "python3"
    var script = "benchmarks/training.py"
    var trace: String?
    var printsGraph = false
    var precision = ExecutionSettings.Precision.f32
    /// Compares our step with itself without one thing at a time.
    var isAblation = false
    /// Compares what networks learn in both precisions.
    var isAccuracy = false
    var seeds = 5
    var firstSeed = 1
    var images = 3_200
    var epochs = 2

    init(_ arguments: [String]) throws(UsageError) {
        var named: [String] = [], index = 0
        func value() throws(UsageError) -> String {
            index += 1
            guard index < arguments.count else {
                throw UsageError(description: "\(arguments[index - 1]) needs a value")
            }
            return arguments[index]
        }
        func number() throws(UsageError) -> Int {
            let name = arguments[index], text = try value()
            guard let number = Int(text), number > 0 else {
                throw UsageError(description: "\(name) expects a number from 1 on, found '\(text)'")
            }
            return number
        }
        while index < arguments.count {
            switch arguments[index] {
            case "--rounds": rounds = try number()
            case "--threads": threads = try number()
            case "--batch": batch = try number()
            case "--seeds": seeds = try number()
            case "--first-seed": firstSeed = try number()
            case "--images": images = try number()
            case "--epochs": epochs = try number()
            case "--precision":
                let text = try value()
                guard let known = ExecutionSettings.Precision(rawValue: text) else {
                    throw UsageError(description: "--precision expects f32 or bf16, found '\(text)'")
                }
                precision = known
            case "--ablations": isAblation = true
            case "--accuracy": isAccuracy = true
            case "--burst":
                let text = try value()
                guard let seconds = Double(text), seconds >= 0 else {
                    throw UsageError(description: "--burst expects seconds, found '\(text)'")
                }
                burst = seconds
            case "--python": python = try value()
            case "--alone": python = nil
            case "--script": script = try value()
            case "--trace": trace = try value()
            case "--graph": printsGraph = true
            case let name where Self.known.contains(name): named.append(name)
            case let other:
                throw UsageError(
                    description:
                        "unknown argument '\(other)'; cases are \(Self.known.joined(separator: ", ")), options --rounds, "
                        + "--threads, --batch, --burst, --precision, --python, --alone, --script, --trace, --graph, "
                        + "--ablations, --accuracy, --seeds, --first-seed, --images, --epochs")
            }
            index += 1
        }
        if !named.isEmpty { cases = named }
        if trace != nil && cases.count != 1 { throw UsageError(description: "--trace takes one case") }
    }
}
