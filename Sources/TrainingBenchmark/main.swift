import Execution
import Foundation
import IR
import Operators
import Spaces
import Training

// One training step (forward, backward, SGD with momentum) of reference networks, in turns with PyTorch where that is
// installed. Called by `make benchmark-training`; one JSON object a line.
//
//   TrainingBenchmark [CASE…] [--rounds N] [--threads N] [--batch N] [--burst SECONDS] [--precision f32|bf16]
//                     [--python PROGRAM | --alone] [--script FILE] [--trace FILE] [--graph] [--ablations]
//   TrainingBenchmark --accuracy [--seeds N] [--first-seed N] [--images N] [--epochs N] [--threads N]
//
//   --alone        without PyTorch
//   --trace FILE   a Chrome trace of one step of the only case named
//   --graph        prints the graph of a step as it is run
//   --ablations    in turns with ourselves without fusion, tiling, layouts, the second thread, and with bf16
//   --accuracy     what a network learns on Fashion-MNIST in f32 and bf16

do {
    let options = try BenchmarkOptions(Array(CommandLine.arguments.dropFirst()))
    if options.isAccuracy {
        try compareAccuracy(options)
    } else {
        for name in options.cases {
            if options.isAblation { try ablate(name, options) } else { try measure(name, options) }
        }
    }
} catch {
    FileHandle.standardError.write(Data("training benchmark: \(error)\n".utf8))
    exit(error is UsageError ? 64 : 1)
}

/// Runs the rounds of one case and prints their figures.
func measure(_ name: String, _ options: BenchmarkOptions) throws {
    let side = try MartletSide(
        name, options, ExecutionSettings(precision: options.precision), threads: options.threads)
    if options.printsGraph {
        print(try side.graph)
        return
    }
    if let file = options.trace {
        try side.trace().write(toFile: file, atomically: true, encoding: .utf8)
        return
    }
    let peer = options.python.flatMap { PyTorchSide(name, options, python: $0, paths: side.paths) }
    var ours: [Double] = [], theirs: [Double] = [], ratios: [Double] = []
    for _ in 0..<options.rounds {
        rest()
        let mine = try side.burst(options.burst)
        ours.append(mine)
        if peer != nil { rest() }
        if let peer, let other = peer.burst() {
            theirs.append(other)
            ratios.append(other / mine)
        }
    }
    var fields: [(String, String)] = [
        ("case", "\"\(name)\""), ("precision", "\"\(options.precision.rawValue)\""), ("batch", "\(side.batch)"),
        ("threads", "\(options.threads)"), ("rounds", "\(options.rounds)"),
        ("ours_s", digits(median(ours))), ("ours_images_per_s", digits(Double(side.batch) / median(ours), 1)),
        ("ours_gflops", digits(try side.operations / median(ours) / 1e9, 1)),
        ("ours_memory_mib", digits(side.memory / 1_048_576, 1)),
    ]
    if !ratios.isEmpty {
        fields += [
            ("pytorch_s", digits(median(theirs))), ("ratio", digits(median(ratios), 2)),
            ("ratio_min", digits(ratios.min() ?? 0, 2)), ("ratio_max", digits(ratios.max() ?? 0, 2)),
            ("ratios", "[" + ratios.map { digits($0, 2) }.joined(separator: ", ") + "]"),
        ]
        if let memory = peer?.memory() { fields.append(("pytorch_memory_mib", digits(memory / 1_048_576, 1))) }
    }
    printLine(fields)
}

/// Threads of whoever had the last turn may spin for a while before they sleep.
func rest() { Thread.sleep(forTimeInterval: 0.25) }

/// Prints one JSON object.
func printLine(_ fields: [(String, String)]) {
    print("{" + fields.map { "\"\($0)\": \($1)" }.joined(separator: ", ") + "}")
}

func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    return sorted.isEmpty ? 0 : (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
}
func digits(_ value: Double, _ places: Int = 4) -> String { String(format: "%.\(places)f", value) }
