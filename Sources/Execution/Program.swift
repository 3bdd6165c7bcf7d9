import CKernels
import IR
import Passes

/// The kernel calls of a graph in order, with the tables of pointers and numbers that they read.
final class Program {
    enum Segment {
        /// Calls that run without coming back to Swift.
        case steps(Range<Int>)
        /// A node that runs by its definition.
        case fallback(Int)
    }

    private(set) var segments: [Segment] = []
    private(set) var fallbacks: [Int] = []
    /// The node of each step.
    private(set) var nodes: [Int] = []
    let steps: UnsafeMutablePointer<MartletStep>
    /// The position of each input among the inputs, by value.
    let inputPositions: [Int: Int]

    private let plan: MemoryPlan
    private let pointers: UnsafeMutablePointer<UnsafeMutableRawPointer?>
    private let integers: UnsafeMutablePointer<Int64>
    private let reals: UnsafeMutablePointer<Double>
    /// The value behind each pointer; `nil` for scratch memory.
    private var values: [Value] = []
    /// Pointers into inputs: they change with every run.
    private var inputSlots: [Int] = []

    init(_ graph: Graph, _ plan: MemoryPlan, _ calls: [KernelCall?]) {
        inputPositions = Dictionary(uniqueKeysWithValues: graph.inputs.enumerated().map { ($1.id, $0) })
        var integerCount = 0, realCount = 0
        for (index, node) in graph.nodes.enumerated() where !Self.isDone(node, graph, plan) {
            guard let call = calls[index] else {
                segments.append(.fallback(index))
                fallbacks.append(index)
                continue
            }
            if case .steps(let range)? = segments.last {
                segments[segments.count - 1] = .steps(range.lowerBound..<nodes.count + 1)
            } else {
                segments.append(.steps(nodes.count..<nodes.count + 1))
            }
            nodes.append(index)
            values += node.operands + node.results
            integerCount += call.integers.count
            realCount += call.reals.count
        }
        steps = .allocate(capacity: max(nodes.count, 1))
        pointers = .allocate(capacity: max(values.count, 1))
        integers = .allocate(capacity: max(integerCount, 1))
        reals = .allocate(capacity: max(realCount, 1))
        pointers.initialize(repeating: nil, count: values.count)
        self.plan = plan
        fill(graph, calls)
        for (slot, value) in values.enumerated() {
            if case .external(let owner) = plan.places[value.id].base, inputPositions[owner.id] != nil {
                inputSlots.append(slot)
            }
        }
    }

    deinit {
        steps.deallocate()
        pointers.deallocate()
        integers.deallocate()
        reals.deallocate()
    }

    /// Whether nothing is to be done for a node: a source, or a view that lies in its operand.
    private static func isDone(_ node: Node, _ graph: Graph, _ plan: MemoryPlan) -> Bool {
        if node.op is any SourceOperator { return true }
        guard let operand = node.operands.first, node.results.count == 1,
            let start = node.op.viewOffset(graph.types(of: node.operands), graph.types(of: node.results))
        else { return false }
        let (from, to) = (plan.places[operand.id], plan.places[node.results[0].id])
        return from.base == to.base && from.offset + start == to.offset
    }

    private func fill(_ graph: Graph, _ calls: [KernelCall?]) {
        var (pointer, integer, real) = (0, 0, 0)
        for (step, index) in nodes.enumerated() {
            guard let call = calls[index] else { continue }
            let node = graph.nodes[index]
            (integers + integer).update(from: call.integers, count: call.integers.count)
            (reals + real).update(from: call.reals, count: call.reals.count)
            let operands = UnsafeMutableRawPointer(pointers + pointer).assumingMemoryBound(to: UnsafeRawPointer?.self)
            let record = MartletCall(
                in: UnsafePointer(operands), out: UnsafePointer(pointers + pointer + node.operands.count),
                p: UnsafePointer(integers + integer), f: UnsafePointer(reals + real), scratch: nil, phase: 0, part: 0,
                parts: 1)
            (steps + step).initialize(
                to: MartletStep(
                    function: call.function, call: record, phases: Int32(call.phases),
                    is_parallel: call.isParallel ? 1 : 0))
            pointer += node.operands.count + node.results.count
            integer += call.integers.count
            real += call.reals.count
        }
    }

    /// Writes every pointer.
    func bind(arena: UnsafeMutableRawPointer, _ address: (Value) -> UnsafeMutableRawPointer?) {
        for (slot, value) in values.enumerated() { pointers[slot] = address(value) }
        for (step, node) in nodes.enumerated() { steps[step].call.scratch = plan.scratch[node].map { arena + $0 } }
    }

    /// Writes the pointers into inputs.
    func bindInputs(_ address: (Value) -> UnsafeMutableRawPointer?) {
        for slot in inputSlots { pointers[slot] = address(values[slot]) }
    }
}
