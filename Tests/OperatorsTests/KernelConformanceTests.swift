import CKernels
import IR
import Operators
import TestSupport
import Testing

/// Every kernel an operator names, against the operator's definition: in every layout it accepts, for several numbers of
/// parts, at every instruction set of this machine.
@Suite struct KernelConformanceTests {
    @Test(arguments: Specimen.registered.map(\.name))
    func kernelEqualsDefinition(name: String) throws {
        let specimen = try #require(Specimen.named(name))
        var random = RandomSource(seed: 5).fork(name)
        let operands: [ReferenceTensor<Float>] = specimen.draw(&random)
        let expected = try Interpreter.evaluate(specimen.op, operands)
        let plain = operands.map(\.type) + expected.map(\.type)
        for types in layouts(plain) {
            let x = Array(types.prefix(operands.count)), y = Array(types.dropFirst(operands.count))
            guard let call = specimen.op.kernel(x, y) else { continue }
            for level in 0...Int(martlet_kernels_level()) {
                for parts in [1, 2, 3] {
                    let found = run(call, operands, x, y, parts: parts, level: level)
                    for (a, b) in zip(expected, found) {
                        // Kernels add in another order; sums here are short.
                        let scale = max(1, a.reals.map { abs($0) }.max() ?? 0)
                        let error = zip(a.reals, b).map { abs($0 - $1) }.max() ?? 0
                        #expect(error <= 4e-6 * scale, "\(name), \(parts) parts, level \(level), \(types)")
                        #expect(a.reals.count == b.count)
                    }
                    // A result may take over the memory of an operand that the operator offers.
                    for operand in specimen.op.inPlaceOperands(x, y) where x[operand] == y[0] {
                        let inPlace = run(
                            call, operands, x, y, parts: parts, level: level, overwriting: operand)
                        #expect(inPlace == found, "\(name) in place of operand \(operand), level \(level), \(types)")
                    }
                }
            }
        }
    }

    /// Image operators would otherwise be passed over in silence.
    @Test(arguments: [
        "conv2d", "conv2d_input_gradient", "conv2d_filter_gradient", "batch_norm", "batch_norm_gradient", "max_pool2d",
        "max_pool2d_gradient", "average_pool2d", "average_pool2d_gradient", "relu", "unary_gradient", "add",
        "reduce_mean",
        "concat", "channel_shuffle", "slice", "pad",
    ])
    func imageOperatorsHaveChannelsLastKernels(mnemonic: String) throws {
        for (name, specimen) in Specimen.registered where name.hasPrefix(mnemonic + "#") {
            let operands = specimen.operands.map(\.type), results = try specimen.op.inferPlain(operands)
            guard operands[0].rank == 4, operands[0].element == .f32 else { continue }
            let kernels = layouts(operands + results).dropFirst().compactMap {
                specimen.op.kernel(Array($0.prefix(operands.count)), Array($0.dropFirst(operands.count)))
            }
            #expect(!kernels.isEmpty, "\(name)")
        }
    }

    /// All ways to put tensors of rank 4 channels-last, the plain one first.
    private func layouts(_ types: [TensorType]) -> [[TensorType]] {
        types.reduce(into: [[]]) { result, type in
            let ways = type.rank == 4 ? [type, type.with(layout: .channelsLast)] : [type]
            result = ways.flatMap { way in result.map { $0 + [way] } }
        }
    }

    private func run(
        _ call: KernelCall, _ operands: [ReferenceTensor<Float>], _ x: [TensorType], _ y: [TensorType], parts: Int,
        level: Int, overwriting overwritten: Int? = nil
    ) -> [[Float]] {
        let function = unsafe martlet_kernel_variant(call.function, Int32(level)) ?? call.function
        let inputs = zip(operands, x).map { buffer($1.byteCount, $0.bytes(as: $1)) }
        let own = y.map { buffer($0.byteCount, []) }
        let outputs = overwritten.map { [inputs[$0]] + own.dropFirst() } ?? own
        let scratch = buffer(call.scratchBytes(parts: parts), [])
        defer { for memory in inputs + own + [scratch] { memory.deallocate() } }
        let addresses = inputs.map { UnsafeRawPointer($0) as UnsafeRawPointer? }
        for phase in 0..<call.phases {
            for part in 0..<(call.isParallel ? parts : 1) {
                addresses.withUnsafeBufferPointer { ins in
                    outputs.map { $0 as UnsafeMutableRawPointer? }.withUnsafeBufferPointer { outs in
                        call.integers.withUnsafeBufferPointer { integers in
                            call.reals.withUnsafeBufferPointer { reals in
                                var record = MartletCall(
                                    in: ins.baseAddress, out: outs.baseAddress, p: integers.baseAddress,
                                    f: reals.baseAddress, scratch: scratch, phase: Int32(phase), part: Int32(part),
                                    parts: Int32(call.isParallel ? parts : 1))
                                function(&record)
                            }
                        }
                    }
                }
            }
        }
        return zip(outputs, y).map { memory, type in
            ReferenceTensor<Float>.reals(in: memory, type)
        }
    }

    /// Aligned memory that starts with `bytes`; the rest holds a pattern that is NaN as reals.
    private func buffer(_ count: Int, _ bytes: [UInt8]) -> UnsafeMutableRawPointer {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: max(count, 64), alignment: 64)
        memory.initializeMemory(as: UInt8.self, repeating: 0xff, count: max(count, 64))
        bytes.withUnsafeBytes { if let from = $0.baseAddress { memory.copyMemory(from: from, byteCount: $0.count) } }
        return memory
    }
}

extension TensorType {
    /// Where in memory the element with each linear (logical) index lies.
    fileprivate var positions: [Int] {
        guard layout != .plain else { return Array(0..<count) }
        let (channels, area) = (shape[1], shape[2] * shape[3])
        return (0..<count).map { i in
            (i / (channels * area) * area + i % area) * channels + i / area % channels
        }
    }
}

extension ReferenceTensor<Float> {
    fileprivate func bytes(as type: TensorType) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: type.byteCount)
        for (i, at) in type.positions.enumerated() {
            switch storage {
            case .real(let values):
                withUnsafeBytes(of: values[i]) { result.replaceSubrange((at * 4)..<(at * 4 + 4), with: $0) }
            case .integer(let values):
                let size = type.element.size
                withUnsafeBytes(of: values[i]) {
                    result.replaceSubrange((at * size)..<((at + 1) * size), with: $0.prefix(size))
                }
            }
        }
        return result
    }

    fileprivate static func reals(in memory: UnsafeMutableRawPointer, _ type: TensorType) -> [Float] {
        type.positions.map { at in
            switch type.element {
            case .f32: memory.load(fromByteOffset: at * 4, as: Float.self)
            case .i64: Float(memory.load(fromByteOffset: at * 8, as: Int64.self))
            case .i32: Float(memory.load(fromByteOffset: at * 4, as: Int32.self))
            default: Float(memory.load(fromByteOffset: at, as: UInt8.self))
            }
        }
    }
}
