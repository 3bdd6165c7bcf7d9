import IR
import Operators
import Spaces
import Testing

/// What networks of cells have while they are trained by themselves: paths that drop out, and a second classifier.
@Suite struct EvaluationNetworkTests {
    private let yaml = """
        format: 1
        name: cells
        source: ours
        input: [2, 8, 8]
        classes: 3
        activation: none
        path_dropout: 0.5
        auxiliary: {after: second, weight: 0.5}
        cells:
          normal: {wiring: two_inputs, nodes: 2, operators: [none, skip_connect, sep_conv_3x3, max_pool_3x3]}
        stem:
          - conv: {kernel: 3, width: 4}
        stages:
          - {name: first, width: 4, cell: normal}
          - {name: second, width: 8, cell: normal, stride: 2}
        head:
          - global_average_pool
          - linear
        """

    private func network(_ form: Supernet.Form) throws -> Supernet.Network {
        let space = try SearchSpace(yaml: yaml, file: "cells.yaml")
        return try Supernet.standalone(space).build(architecture(space), batch: 64, form)
    }

    /// Edges: separable convolution, skip; pool, none, skip.
    private func architecture(_ space: SearchSpace) -> Architecture { Architecture(choices: [2, 1, 3, 0, 1]) }

    @Test func everyOperatorThatDoesSomethingIsDropped() throws {
        let graph = try network(.training()).graph
        let names = graph.nodes.filter { $0.op is DropPath }.compactMap(\.name)
        // A skip is kept where it is the identity; at stride 2 it is an operator.
        let scopes = Set(names.map { String($0.dropLast(".drop_path".count)) })
        #expect(
            scopes == [
                "first.cell1.0to2", "first.cell1.0to3", "second.cell1.0to2", "second.cell1.1to2", "second.cell1.0to3",
            ])
        let sites = graph.nodes.compactMap { ($0.op as? DropPath)?.site }
        #expect(Set(sites).count == sites.count, "each place draws for itself")
        #expect(graph.nodes.compactMap { ($0.op as? DropPath)?.rate }.allSatisfy { $0 == 0.5 })
    }

    @Test func nothingOfItIsInOtherForms() throws {
        let space = try SearchSpace(yaml: yaml, file: "cells.yaml")
        let shared = try Supernet(space).build(architecture(space), batch: 2, .training())
        for network in [try network(.calibration), try network(.inference), shared] {
            #expect(!network.graph.nodes.contains { $0.op is DropPath })
            #expect(!network.graph.inputNames.contains("progress"))
            #expect(!network.parameters.contains { $0.name.hasPrefix("auxiliary") })
        }
        #expect(try network(.training()).statistics == network(.calibration).statistics)
    }

    @Test func theSecondLossIsAddedWithItsWeight() throws {
        let network = try network(.training(smoothing: 0.1))
        var graph = network.graph
        let values = try ["loss", "main_loss", "auxiliary_loss"].map { name in
            try #require(graph.nodes.first { $0.name == name }).results[0]
        }
        graph.setOutputs(values, names: ["loss", "main", "auxiliary"])
        var random = RandomSource(seed: 3)
        let inputs = graph.inputs.map { value in
            let type = graph.type(of: value)
            switch type.element {
            case .u32: return ReferenceTensor<Double>(type, [1, 2])
            case .i32: return ReferenceTensor<Double>(type, (0..<type.count).map { Double($0 % 3) })
            default: return ReferenceTensor<Double>(type, (0..<type.count).map { _ in random.uniform() })
            }
        }
        var parameters: [String: ReferenceTensor<Double>] = [:]
        for parameter in network.parameters {
            let type = TensorType(.f32, parameter.shape)
            parameters[parameter.name] = ReferenceTensor(type, (0..<type.count).map { _ in 0.3 * random.normal() })
        }
        let losses = try Interpreter.run(graph, inputs: inputs, parameters: parameters).map { $0.reals[0] }
        #expect(abs(losses[0] - losses[1] - 0.5 * losses[2]) < 1e-12)
        #expect(losses[1] != losses[2] && losses[2] > 0)
    }

    /// At the start nothing is dropped; at the end whole examples are, as often as the rate says, and the others make up
    /// for them.
    @Test(arguments: [0, 0.5, 1]) func examplesAreDroppedMoreAndMore(progress: Double) throws {
        let count = 4000
        var g = GraphBuilder(name: "drop")
        let x = g.input("x", .f32(count, 3)), key = g.input("key", TensorType(.u32, [2]))
        let y = try g.append(DropPath(rate: 0.4, site: 3), x, key, g.input("progress", .f32()))
        let graph = g.finish(outputs: [y])
        let ones = ReferenceTensor<Double>(.f32(count, 3), [Double](repeating: 1, count: 3 * count))
        let results = try Interpreter.run(
            graph,
            inputs: [
                ones, ReferenceTensor(TensorType(.u32, [2]), [5, 6]), ReferenceTensor(.f32(), [progress]),
            ])[0].reals
        let rate = 0.4 * progress
        let dropped = stride(from: 0, to: 3 * count, by: 3).filter { results[$0] == 0 }.count
        // Within four standard deviations.
        #expect(abs(Double(dropped) - rate * Double(count)) <= 4 * (rate * (1 - rate) * Double(count)).squareRoot())
        for i in stride(from: 0, to: 3 * count, by: 3) {
            #expect(results[i] == results[i + 1] && results[i] == results[i + 2])
            #expect(results[i] == 0 || abs(results[i] - 1 / (1 - rate)) < 1e-6)
        }
    }

    @Test func anUnknownStageIsNamed() {
        let wrong = yaml.replacing("after: second", with: "after: third")
        let error = #expect(throws: SpaceError.self) { try SearchSpace(yaml: wrong, file: "cells.yaml") }
        let text = error?.description ?? ""
        #expect(
            text.contains("cells.yaml:8:") && text.contains("unknown stage 'third'; known: first, second"), "\(text)")
    }
}
