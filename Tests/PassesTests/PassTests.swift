import IR
import Passes
import Testing

@Suite struct PassTests {
    private func graph() throws -> Graph {
        var g = GraphBuilder(name: "line")
        let x = g.input("x", .f32(32))
        let y = try g.append(Planned.Reverse(), x)
        return g.finish(outputs: [y])
    }

    @Test func runsPassesInOrder() throws {
        let rename = { (name: String) in
            Pass("rename-\(name)") { graph throws(PassError) in
                var graph = graph
                graph.name += name
                return graph
            }
        }
        var seen: [String] = []
        let result = try Pipeline([rename("a"), rename("b")]).run(graph()) { name, graph in
            seen.append(name + " " + graph.name)
        }
        #expect(result.name == "lineab")
        #expect(seen == ["rename-a linea", "rename-b lineab"])
    }

    @Test func namesThePassThatBreaksAGraph() throws {
        let wrong = Pass("spoil") { graph throws(PassError) in
            var graph = graph
            graph.setType(of: graph.outputs[0], to: .f32(33))
            return graph
        }
        let error = #expect(throws: PassError.self) { try graph().applying(wrong) }
        #expect(
            error?.description
                == "pass spoil: made a graph that is not legal: node 0 (planned.reverse) of graph line has "
                + "results [f32[33]], but its operator gives [f32[32]]")
        let failing = Pass("give-up") { _ throws(PassError) in throw PassError("there is nothing to do") }
        #expect(throws: PassError("there is nothing to do", pass: "give-up")) { try graph().applying(failing) }
    }

    @Test func checksTheStageAtTheEnd() throws {
        var g = GraphBuilder(name: "line")
        let w = g.parameter("w", .f32(4))
        let y = try g.append(Planned.Reverse(), w)
        let graph = g.finish(outputs: [y])
        let same = Pass("keep") { graph throws(PassError) in graph }
        #expect(throws: PassError.self) { try graph.applying(same, stage: .deployable) }
        #expect(try graph.applying(same) == graph)
    }
}
