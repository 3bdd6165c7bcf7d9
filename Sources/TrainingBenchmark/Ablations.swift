import Execution
import IR
import Operators
import Passes
import Training

/// Images lie in the order of files between any two operators, as where layouts are a matter of each operator alone.
private let plainBetweenOperators = Pass("plain-between-operators") { graph throws(PassError) in
    do throws(ShapeError) {
        return try graph.rewritten { node, operands, g throws(ShapeError) in
            guard !(node.op is Reorder) else { return nil }
            var results = g.copy(node, operands: operands, types: graph.types(of: node.results))
            for (index, old) in node.results.enumerated() where graph.type(of: old).layout != .plain {
                let type = graph.type(of: old)
                for way in [type.plain, type] {
                    results[index] = try g.append(Reorder(), results[index])
                    g.setType(of: results[index], to: way)
                }
            }
            return results
        }
    } catch {
        throw PassError(error)
    }
}

/// Times a case in turns with itself without one thing at a time.
func ablate(_ name: String, _ options: BenchmarkOptions) throws {
    let variants: [(name: String, settings: ExecutionSettings, threads: Int)] = [
        ("as it is", ExecutionSettings(), options.threads),
        ("no fusion", ExecutionSettings(fusesNormalisation: false), options.threads),
        ("no tiling across operators", ExecutionSettings(joinsChains: false), options.threads),
        ("a layout for each operator", ExecutionSettings(further: [plainBetweenOperators]), options.threads),
        ("one thread", ExecutionSettings(), 1),
        ("bf16", ExecutionSettings(precision: .bf16), options.threads),
    ]
    let arena = Arena()
    let sides = try variants.map { variant in
        try MartletSide(name, options, variant.settings, threads: variant.threads, arena: arena)
    }
    for side in sides { _ = try side.burst(0) }
    var times = [[Double]](repeating: [], count: sides.count)
    for _ in 0..<options.rounds {
        for (index, side) in sides.enumerated() {
            rest()
            times[index].append(try side.burst(options.burst))
        }
    }
    for (index, variant) in variants.enumerated() {
        let ratios = zip(times[index], times[0]).map { $0 / $1 }
        printLine([
            ("case", "\"\(name)\""), ("variant", "\"\(variant.name)\""), ("rounds", "\(options.rounds)"),
            ("seconds", digits(median(times[index]))), ("slower", digits(median(ratios), 2)),
            ("slower_min", digits(ratios.min() ?? 0, 2)), ("slower_max", digits(ratios.max() ?? 0, 2)),
            ("values_mib", digits(Double(try sides[index].plannedMemory) / 1_048_576, 0)),
        ])
    }
}
