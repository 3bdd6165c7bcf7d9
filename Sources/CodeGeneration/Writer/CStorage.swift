import IR
import Passes

/// Where each value of a program lies, from the memory plan.
struct CStorage {
    enum Place: Hashable {
        /// In the memory of the input, the output or the constant; the number behind is an offset in bytes.
        case input(Int, Int)
        case output(Int, Int)
        case constant(Value, Int)
        case arena(Int)
        /// Nowhere: a value without elements.
        case none
    }

    static let alignment = 64

    private let places: [Place]
    /// Offsets in the arena of each node's scratch memory, 0 where there is none.
    let scratch: [Int]
    let arenaBytes: Int
    let copiedOutputs: [Int]

    init(_ graph: Graph, _ codes: [NodeCode?]) {
        let plan = Self.plan(graph, codes)
        var inputs: [Value: Int] = [:]
        for (index, input) in graph.inputs.enumerated() { inputs[input] = index }
        places = plan.places.enumerated().map { id, place in
            if graph.type(of: Value(id: id)).byteCount == 0 { return .none }
            return switch place.base {
            case .arena: .arena(place.offset)
            case .output(let index): .output(index, place.offset)
            case .external(let value):
                if let index = inputs[value] { .input(index, place.offset) } else { .constant(value, place.offset) }
            }
        }
        scratch = plan.scratch.map { $0 ?? 0 }
        arenaBytes = plan.arenaBytes
        copiedOutputs = plan.copiedOutputs
    }

    static func plan(_ graph: Graph, _ codes: [NodeCode?]) -> MemoryPlan {
        MemoryPlan(graph) { index, _ in codes[index]?.body.scratchBytes ?? 0 }
    }

    subscript(value: Value) -> Place { places[value.id] }

    /// Whether every plan makes the node a view, so that it needs no code: its operand read with another type.
    static func isAlwaysView(_ node: Node, _ graph: Graph) -> Bool {
        guard node.results.count == 1, let operand = node.operands.first else { return false }
        return node.op.viewOffset(graph.types(of: node.operands), graph.types(of: node.results)) == 0
            && graph.type(of: node.results[0]).byteCount == graph.type(of: operand).byteCount
    }

    /// Whether this plan makes the node a view: the result lies where it is in the operand already.
    func isView(_ node: Node, _ graph: Graph) -> Bool {
        guard node.results.count == 1, let operand = node.operands.first,
            let start = node.op.viewOffset(graph.types(of: node.operands), graph.types(of: node.results))
        else { return false }
        return distance(from: operand, to: node.results[0]) == start
    }

    /// The byte of the result's memory at which an operand that was placed there starts; `nil` where they are apart.
    func offset(of operand: Value, inside result: Value, _ graph: Graph) -> Int? {
        guard let distance = distance(from: result, to: operand) else { return nil }
        let room = graph.type(of: result).byteCount - graph.type(of: operand).byteCount
        return distance >= 0 && distance <= room ? distance : nil
    }

    /// How many bytes lie between the starts of two values in the same memory.
    private func distance(from a: Value, to b: Value) -> Int? {
        switch (places[a.id], places[b.id]) {
        case (.arena(let m), .arena(let n)): n - m
        case (.output(let i, let m), .output(let j, let n)) where i == j: n - m
        case (.input(let i, let m), .input(let j, let n)) where i == j: n - m
        case (.constant(let i, let m), .constant(let j, let n)) where i == j: n - m
        default: nil
        }
    }
}
