import IR
import RealModule

/// One direction of a recurrent layer: a simple RNN, a GRU or an LSTM, as ONNX defines them.
///
/// The product of the inputs and their weights, with their bias, is made beforehand for all steps at once. Sequences may
/// be shorter than the tensor: behind its length a sequence's results are zero and its state stays.
///
/// - Shapes, with `G` gates (1, 3 in the order z r h, 4 in the order i o f c), `H` units: `gates: [T, B, G·H]`,
///   `weights: [G·H, H]`, `bias: [G·H]`, `lengths: i32 [B]`, `h: [B, H]`, for the LSTM `c: [B, H]` and
///   `peepholes: [3·H]` (i o f) `→ y: [T, B, H], h: [B, H]`, for the LSTM `c: [B, H]`.
/// - Source: Cho et al., EMNLP 2014 (GRU); Hochreiter & Schmidhuber, 1997, and Gers et al., 2002 (LSTM with peepholes).
public struct Recurrent: Operator {
    public enum Cell: String, Codable, Hashable, Sendable {
        case rnn, gru, lstm

        var gates: Int {
            switch self {
            case .rnn: 1
            case .gru: 3
            case .lstm: 4
            }
        }
    }

    public static let mnemonic = "recurrent"
    public var cell = Cell.rnn
    /// The functions of the gates (f), and for GRU and LSTM of the candidate (g) and for the LSTM of the result (h).
    public var functions = ["Tanh"]
    /// Two parameters for each function; those that it lacks are ignored.
    public var parameters: [Double] = [0, 0]
    /// Bounds every argument of a function to ± this; 0 means no bound.
    public var clip = 0.0
    public var isReversed = false
    /// GRU: the reset gate multiplies the state's product instead of the state.
    public var resetsProduct = false
    /// LSTM: the forget gate is one minus the input gate.
    public var couplesGates = false

    public init() {}
    public init(_ cell: Cell, isReversed: Bool = false) {
        self.cell = cell
        self.isReversed = isReversed
        functions = cell == .rnn ? ["Tanh"] : cell == .gru ? ["Sigmoid", "Tanh"] : ["Sigmoid", "Tanh", "Tanh"]
        parameters = .init(repeating: 0, count: 2 * functions.count)
    }

    public func infer(_ x: [TensorType]) throws(ShapeError) -> [TensorType] {
        let x = try x.expect(cell == .lstm ? 7 : 5, for: self)
        let gates = try x[0].requireFloat(for: self).require(rank: 3, for: self)
        let (t, b, g) = (gates.shape[0], gates.shape[1], gates.shape[2]), h = g / cell.gates
        var expected = [
            gates, gates.with(shape: [g, h]), gates.with(shape: [g]), TensorType(.i32, [b]), gates.with(shape: [b, h]),
        ]
        if cell == .lstm { expected += [gates.with(shape: [b, h]), gates.with(shape: [3 * h])] }
        guard h > 0, g == h * cell.gates, x == expected else {
            throw ShapeError("recurrent: operands \(x) do not make a \(cell.rawValue); expected \(expected)")
        }
        let counts = cell == .rnn ? 1 : cell == .gru ? 2 : 3
        guard functions.count == counts, parameters.count == 2 * counts,
            functions.allSatisfy({ RecurrentFunction(rawValue: $0) != nil })
        else {
            throw ShapeError(
                "recurrent: a \(cell.rawValue) needs \(counts) known functions with two parameters each, found \(functions)"
            )
        }
        let state = gates.with(shape: [b, h])
        return [gates.with(shape: [t, b, h]), state] + (cell == .lstm ? [state] : [])
    }
    public func evaluate<R: Scalar>(_ x: [ReferenceTensor<R>], _ y: [TensorType]) -> [ReferenceTensor<R>]? {
        let (steps, batch, units) = (y[0].shape[0], y[0].shape[1], y[0].shape[2]), width = cell.gates * units
        let gates = x[0].reals, weights = x[1].reals, bias = x[2].reals, lengths = x[3].integers
        var state = x[4].reals, memory = cell == .lstm ? x[5].reals : [], result = [R](repeating: 0, count: y[0].count)
        let peepholes = cell == .lstm ? x[6].reals : []
        func bounded(_ v: R) -> R { clip > 0 ? min(max(v, R(-clip)), R(clip)) : v }
        func call(_ k: Int, _ v: R) -> R {
            RecurrentFunction(rawValue: functions[k])!.apply(bounded(v), R(parameters[2 * k]), R(parameters[2 * k + 1]))
        }
        for b in 0..<batch {
            let length = min(Int(lengths[b]), steps)
            for step in 0..<max(length, 0) {
                let t = isReversed ? length - 1 - step : step, at = (t * batch + b) * width
                let old = Array(state[b * units..<(b + 1) * units])
                func product(_ row: Int, _ vector: [R]) -> R {
                    (0..<units).reduce(bias[row]) { $0 + weights[row * units + $1] * vector[$1] }
                }
                func argument(_ gate: Int, _ j: Int) -> R {
                    gates[at + gate * units + j] + product(gate * units + j, old)
                }
                var new = old
                switch cell {
                case .rnn:
                    for j in 0..<units { new[j] = call(0, argument(0, j)) }
                case .gru:
                    let update = (0..<units).map { call(0, argument(0, $0)) },
                        reset = (0..<units).map { call(0, argument(1, $0)) }
                    let kept = zip(reset, old).map(*)
                    for j in 0..<units {
                        let row = 2 * units + j
                        let recurrent = resetsProduct ? reset[j] * product(row, old) : product(row, kept)
                        let candidate = call(1, gates[at + row] + recurrent)
                        new[j] = (1 - update[j]) * candidate + update[j] * old[j]
                    }
                case .lstm:
                    for j in 0..<units {
                        let c = memory[b * units + j]
                        let input = call(0, argument(0, j) + peepholes[j] * c)
                        let forget = couplesGates ? 1 - input : call(0, argument(2, j) + peepholes[2 * units + j] * c)
                        let next = forget * c + input * call(1, argument(3, j))
                        let output = call(0, argument(1, j) + peepholes[units + j] * next)
                        memory[b * units + j] = next
                        new[j] = output * call(2, next)
                    }
                }
                for j in 0..<units {
                    state[b * units + j] = new[j]
                    result[(t * batch + b) * units + j] = new[j]
                }
            }
        }
        return [ReferenceTensor(y[0], result), ReferenceTensor(y[1], state)]
            + (cell == .lstm ? [ReferenceTensor(y[2], memory)] : [])
    }
    public func macs(_ x: [TensorType], _ y: [TensorType]) -> Int? { x[0].count * y[0].shape[2] }
    public func c(_ x: [TensorType], _ y: [TensorType]) -> CBody? {
        let (steps, batch, units) = (y[0].shape[0], y[0].shape[1], y[0].shape[2]), width = cell.gates * units
        var m = CMath(x[0].element)
        let type = x[0].element.cType
        func call(_ k: Int, _ v: String, _ m: inout CMath) -> String {
            RecurrentFunction(rawValue: functions[k])!.expression(v, parameters[2 * k], parameters[2 * k + 1], &m)
        }
        // A statement that makes `name` the bounded argument, and then its function.
        func gate(_ name: String, _ k: Int, _ argument: String, _ m: inout CMath) -> String {
            var text = "\(type) \(name) = \(argument);"
            if clip > 0 {
                text +=
                    " \(name) = \(name) < \(m.literal(-clip)) ? \(m.literal(-clip)) : \(name) > \(m.literal(clip)) ? \(m.literal(clip)) : \(name);"
            }
            return text + " \(name) = \(call(k, name, &m));"
        }
        let body: String
        switch cell {
        case .rnn:
            body = "for (size_t j = 0; j < \(units); ++j) { \(gate("v", 0, "s[j]", &m)) h[j] = v; }"
        case .gru:
            let candidate =
                resetsProduct ? "x[\(2 * units) + j] + r * s[\(2 * units) + j]" : "x[\(2 * units) + j] + q[j]"
            // The candidate needs the whole old state, so the new one is written last.
            let kept =
                resetsProduct
                ? ""
                : """
                for (size_t j = 0; j < \(units); ++j) { \(gate("r", 0, "s[\(units) + j]", &m)) k[j] = r * h[j]; }
                            for (size_t j = 0; j < \(units); ++j) {
                                \(type) sum = x2[\(2 * units) + j];
                                for (size_t i = 0; i < \(units); ++i) sum += x1[(\(2 * units) + j) * \(units) + i] * k[i];
                                q[j] = sum;
                            }

                """
            body = """
                \(kept)            for (size_t j = 0; j < \(units); ++j) {
                                \(gate("z", 0, "s[j]", &m))
                                \(resetsProduct ? gate("r", 0, "s[\(units) + j]", &m) : "")
                                \(gate("v", 1, candidate, &m))
                                h[j] = (\(m.literal(1)) - z) * v + z * h[j];
                            }
                """
        case .lstm:
            let forget =
                couplesGates
                ? "const \(type) f = \(m.literal(1)) - i;"
                : gate("f", 0, "s[\(2 * units) + j] + x6[\(2 * units) + j] * c[j]", &m)
            body = """
                for (size_t j = 0; j < \(units); ++j) {
                                \(gate("i", 0, "s[j] + x6[j] * c[j]", &m))
                                \(forget)
                                \(gate("v", 1, "s[\(3 * units) + j]", &m))
                                c[j] = f * c[j] + i * v;
                                \(gate("o", 0, "s[\(units) + j] + x6[\(units) + j] * c[j]", &m))
                                \(gate("u", 2, "c[j]", &m))
                                h[j] = o * u;
                            }
                """
        }
        // Of a GRU's gates the candidate's product stands alone, for the reset gate may multiply it.
        let own = cell == .gru ? "(j < \(2 * units) ? x[j] : \(m.literal(0)))" : "x[j]"
        let ownsGates = cell == .gru && !resetsProduct
        let memory = cell == .lstm ? "for (size_t i = 0; i < \(batch * units); ++i) y2[i] = x5[i];\n" : ""
        return CBody(
            """
            \(type) *s = (\(type) *)scratch\(ownsGates ? ", *k = s + \(width), *q = k + \(units)" : "");
            for (size_t i = 0; i < \(y[0].count); ++i) y0[i] = \(m.literal(0));
            for (size_t i = 0; i < \(batch * units); ++i) y1[i] = x4[i];
            \(memory)for (ptrdiff_t b = 0; b < \(batch); ++b) {
                const ptrdiff_t length = x3[b] < \(steps) ? (ptrdiff_t)x3[b] : \(steps);
                \(type) *h = y1 + b * \(units)\(cell == .lstm ? ", *c = y2 + b * \(units)" : "");
                for (ptrdiff_t step = 0; step < length; ++step) {
                    const ptrdiff_t t = \(isReversed ? "length - 1 - step" : "step");
                    const \(type) *x = x0 + (t * \(batch) + b) * \(width);
                    for (size_t j = 0; j < \(width); ++j) {
                        \(type) sum = \(own) + x2[j];
                        for (size_t i = 0; i < \(units); ++i) sum += x1[j * \(units) + i] * h[i];
                        s[j] = sum;
                    }
                    \(body)
                    for (size_t j = 0; j < \(units); ++j) y0[(t * \(batch) + b) * \(units) + j] = h[j];
                }
            }

            """, mathFunctions: m.functions, scratchBytes: (width + (ownsGates ? 2 * units : 0)) * x[0].element.size)
    }

    public static let specimens = [
        specimen(Recurrent(.rnn), 3, 2, 4), specimen(Recurrent(.rnn, isReversed: true), 3, 2, 3),
        specimen(Recurrent(.gru), 3, 2, 4), specimen(with(Recurrent(.gru)) { $0.resetsProduct = true }, 3, 1, 5),
        specimen(Recurrent(.lstm), 3, 2, 4), specimen(Recurrent(.lstm, isReversed: true), 4, 1, 3),
        specimen(
            with(Recurrent(.lstm)) {
                $0.clip = 0.5
                $0.couplesGates = true
            }, 2, 2, 3),
    ]

    private static func with(_ op: Recurrent, _ change: (inout Recurrent) -> Void) -> Recurrent {
        var op = op
        change(&op)
        return op
    }
    private static func specimen(_ op: Recurrent, _ t: Int, _ b: Int, _ h: Int) -> Specimen {
        let g = op.cell.gates * h
        var operands: [Specimen.Operand] = [
            .uniform(.f32(t, b, g), -2...2), .uniform(.f32(g, h), -1...1), .uniform(.f32(g), -1...1),
            .literal(Literal((0..<b).map { max(1, t - $0) }, element: .i32)), .uniform(.f32(b, h), -1...1),
        ]
        if op.cell == .lstm { operands += [.uniform(.f32(b, h), -1...1), .uniform(.f32(3 * h), -1...1)] }
        return Specimen(op, operands: operands, differentiable: false)
    }
}
