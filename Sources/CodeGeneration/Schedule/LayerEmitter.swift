/// One C function of a program and the memory it touches.
struct ProgramStep: Sendable {
    var name: String
    var comment: String
    /// Formal parameters in order: C name and what is passed.
    var parameters: [(name: String, operand: Operand)]
    var body: [String]
    /// Declarations that every phase of the body begins with.
    var setup: [String] = []
    /// Floats of scratch, passed as `t`; each share has its own.
    var scratch: Int
    /// Floats of scratch that all shares see, passed as `common`.
    var commonScratch = 0
    /// Multiply-adds of the layers it computes, by their definition.
    var macs: Int

    /// A line of the body: what follows begins when every share has come this far.
    static let barrier = "/* barrier */"
    /// The same; what follows is too small to be shared.
    static let aloneBarrier = "/* barrier, then share 0 alone */"

    enum Operand: Hashable, Sendable {
        case tensor(Int)
        case output(Int)
    }
}

/// Writes the C of a layer program: kernels, one function a step, packed weights.
struct LayerEmitter {
    let unit: VectorUnit
    let program: LayerProgram
    var options: Options
    var library: KernelLibrary
    var blob = WeightBlob()
    var steps: [ProgramStep] = []
    let uses: [Int]

    struct Options: Sendable {
        /// The tile of Winograd's transforms for 3x3 convolutions, 0 for none; `nil` leaves it to the model.
        var winograd: Int?
        /// Rows of the result that a fused block computes at once; `nil` for as many as the cache holds.
        var band: Int?
        /// What the shares of several threads are made of; `nil` for the model's choice.
        var split: Split?
    }

    var shares: Shares { unit.shares }

    init(_ program: LayerProgram, unit: VectorUnit, options: Options = Options()) {
        self.program = program
        self.unit = unit
        self.options = options
        library = KernelLibrary(unit)
        uses = program.useCounts()
    }

    /// Floats between pixels where a step writes them: whole vectors, in scratch memory where the result has less room.
    func writtenStride(_ tensor: Int) -> Int {
        let t = program.tensors[tensor], floats = stride(tensor)
        return t.parent == nil && t.pixelStride == t.channels ? unit.vectors(floats) * unit.lanes : floats
    }

    /// Floats between pixels of a tensor.
    func stride(_ tensor: Int) -> Int {
        let t = program.tensors[tensor]
        return t.parent.map { stride($0) } ?? t.pixelStride ?? unit.pixelStride(t.channels)
    }

    mutating func emit() {
        var i = 0
        let layers = program.layers
        while i < layers.count {
            let layer = layers[i]
            let next = i + 1 < layers.count ? layers[i + 1] : nil
            if let next, next.inputs == [layer.output], uses[layer.output] == 1, makesRows(of: next, layer) {
                i += emitBand(producer: layer, middle: next, after: i + 2)
                continue
            }
            switch layer.kind {
            case .depthwise: i += emitBand(producer: nil, middle: layer, after: i + 1)
            case .dense(let window):
                emitDense(layer, window)
                i += 1
            default:
                emitSimple(layer)
                i += 1
            }
        }
    }

    /// Whether a layer can make the rows that `next` works on as they are needed: points and stems for depthwise
    /// convolutions, stems for poolings.
    private func makesRows(of next: Layer, _ layer: Layer) -> Bool {
        guard case .dense(let window) = layer.kind, layer.residual == nil, layer.scale == nil,
            program.tensors[layer.output].parent == nil
        else { return false }
        let isStem = program.tensors[layer.inputs[0]].planes
        switch next.kind {
        case .depthwise: return window.isPoint || isStem
        case .maximum(let pool): return isStem && pool.dilation == 1
        default: return false
        }
    }

    mutating func add(
        _ layer: Layer, _ kind: String, parameters: [(name: String, operand: ProgramStep.Operand)], scratch: Int,
        body: [String], setup: [String] = [], commonScratch: Int = 0,
        with others: [Layer] = []
    ) {
        let t = program.tensors[layer.output]
        steps.append(
            ProgramStep(
                name: "step\(steps.count)_\(kind)", comment: "\(layer.name) -> \(t.channels)x\(t.height)x\(t.width)",
                parameters: parameters,
                body: body, setup: setup, scratch: scratch, commonScratch: commonScratch,
                macs: ([layer] + others).reduce(0) { $0 + program.macs($1) }))
    }

    // MARK: Dense

    mutating func emitDense(_ layer: Layer, _ window: LayerWindow) {
        let x = program.tensors[layer.inputs[0]], y = program.tensors[layer.output]
        let ys = writtenStride(layer.output)
        var parameters: [(name: String, operand: ProgramStep.Operand)] = [
            ("x", .tensor(layer.inputs[0])), ("y", .output(layer.output)),
        ]
        var residual: PackedMatrix.Residual?
        if let r = layer.residual {
            parameters.append(("r", .tensor(r)))
            residual = .init(base: "r", stride: stride(r))
        }
        if let s = layer.scale { parameters.append(("s", .tensor(s))) }
        var kernel = MatrixKernel(pixels: 1, vectors: 1, pixelStride: 0, function: layer.function)

        if window.isPoint && !x.planes {
            kernel.pixelStride = stride(layer.inputs[0])
            let packed = PackedMatrix(
                layer.weights, bias: layer.bias, outputs: y.channels, inputs: x.channels, taps: 1, pixels: y.pixels,
                unit: unit, split: split(layer), blob: &blob)
            let run = PackedMatrix.Run(x: "x", y: "y", yStride: ys, residual: residual)
            let body = packed.loops(kernel, run: run, library: &library, scale: layer.scale.map { _ in "s" })
            let widest = packed.tiling.parts.map(\.vectors).max() ?? 1
            add(
                layer, "matrix", parameters: parameters,
                scratch: layer.scale == nil ? 0 : x.channels * widest * unit.lanes, body: body)
            return
        }
        if x.planes {
            let stem = Stem(layer: layer, window: window, x: x, y: y, rows: stemRows(y, ys, x, window), unit: unit)
            let packed = stem.pack(blob: &blob, unit: unit)
            var body = stem.table
            let share = shares.range(y.height / stem.rows, step: stem.rows)
            body.append("for (long y0 = \(share.first); y0 < \(share.end); y0 += \(stem.rows)) {")
            body += stem.copy(first: "y0", last: "y0 + \(stem.rows)", into: "t").map { "    " + $0 }
            let run = PackedMatrix.Run(
                x: "x1", y: "y1", yStride: ys, residual: residual.map { .init(base: "r1", stride: $0.stride) },
                prologue: [
                    "for (long i1 = y0; i1 < y0 + \(stem.rows); ++i1) {",
                    "const float *x1 = t + (i1 - y0) * \(stem.rowStep); float *y1 = y + i1 * \(y.width * ys);"
                        + (residual.map { " const float *r1 = r + i1 * \(y.width * $0.stride);" } ?? ""),
                ], epilogue: ["}"])
            kernel.pixelStride = window.stride
            kernel.taps = .flat
            body += packed.loops(kernel, run: run, library: &library, tapTable: "taps").map { "    " + $0 }
            body.append("}")
            add(layer, "stem", parameters: parameters, scratch: stem.scratch, body: body)
            return
        }
        if isWinogradCase(layer, window), let choice = winograd(x, y) {
            emitWinograd(layer, choice, parameters: parameters, residual: residual)
            return
        }
        // Rows of the input with their border go to scratch, band by band; the taps are offsets into that.
        let xs = stride(layer.inputs[0]), cs = unit.vectors(x.channels) * unit.lanes
        // Padding behind the image shows in a result that reaches past it.
        let point =
            window.size == 1 && window.top == 0 && window.left == 0 && (y.height - 1) * window.stride < x.height
            && (y.width - 1) * window.stride < x.width
        let split = split(layer)
        let packed = PackedMatrix(
            layer.weights, bias: layer.bias, outputs: y.channels, inputs: x.channels, taps: window.size * window.size,
            pixels: y.width, unit: unit, split: split == .channels ? .channels : nil, blob: &blob)
        let rowShares = split == .channels ? Shares.whole : shares
        var body: [String] = []
        var run = PackedMatrix.Run(
            x: "x1", y: "y1", yStride: ys, residual: residual.map { .init(base: "r1", stride: $0.stride) })
        let r1 = residual.map { " const float *r1 = r + i1 * \(y.width * $0.stride);" } ?? ""
        if point {
            kernel.pixelStride = window.stride * xs
            let share = rowShares.range(y.height)
            run.prologue = [
                "for (long i1 = \(share.first); i1 < \(share.end); ++i1) {",
                "const float *x1 = x + i1 * \(window.stride * x.width * xs); float *y1 = y + i1 * \(y.width * ys);"
                    + r1,
            ]
            run.epilogue = ["}"]
            body = packed.loops(kernel, run: run, library: &library)
            add(layer, "rows", parameters: parameters, scratch: 0, body: body)
            return
        }
        let reach = (window.size - 1) * window.dilation
        let columns = (y.width - 1) * window.stride + reach + 1
        let cst = cs % 512 == 0 ? cs + unit.lanes : cs
        let rowFloats = columns * cst
        let band = sharedDivisor(of: y.height, rowShares) {
            ($0 - 1) * window.stride + reach + 1 <= max(reach + 1, unit.l2 / 16 / rowFloats)
        }
        let share = rowShares.range(y.height / band, step: band)
        let inner = min(x.width, columns - window.left)
        let tableOffsets = (0..<window.size).flatMap { ky in
            (0..<window.size).map { kx in (ky * window.dilation * columns + kx * window.dilation) * cst }
        }
        body.append(
            "static const int taps[\(tableOffsets.count)] = {\(tableOffsets.map(String.init).joined(separator: ", "))};"
        )
        body += [
            "for (long y0 = \(share.first); y0 < \(share.end); y0 += \(band)) {",
            "    for (long i = 0; i < \((band - 1) * window.stride + reach + 1); ++i) {",
            "        long j = y0 * \(window.stride) - \(window.top) + i;",
            "        float *d = t + i * \(rowFloats);",
            "        if (j < 0 || j >= \(x.height)) {",
            "            for (long c = 0; c < \(rowFloats); c += VL) V_STORE(d + c, V_ZERO);",
            "            continue;",
            "        }",
            "        for (long c = 0; c < \(window.left * cst); c += VL) V_STORE(d + c, V_ZERO);",
            "        for (long q = 0; q < \(inner); ++q)",
            "            for (long c = 0; c < \(cs); c += VL) V_STORE(d + \(window.left * cst) + q * \(cst) + c, V_LOAD(x + (j * \(x.width) + q) * \(xs) + c));",
            "        for (long c = \((window.left + inner) * cst); c < \(rowFloats); c += VL) V_STORE(d + c, V_ZERO);",
            "    }",
        ]
        kernel.pixelStride = window.stride * cst
        kernel.taps = .outer
        run.prologue = [
            "for (long i1 = y0; i1 < y0 + \(band); ++i1) {",
            "const float *x1 = t + (i1 - y0) * \(window.stride * rowFloats); float *y1 = y + i1 * \(y.width * ys);"
                + r1,
        ]
        run.epilogue = ["}"]
        body += packed.loops(kernel, run: run, library: &library, tapTable: "taps").map { "    " + $0 }
        body.append("}")
        add(
            layer, "conv", parameters: parameters, scratch: ((band - 1) * window.stride + reach + 1) * rowFloats,
            body: body)
    }

    /// Whether Winograd's transforms apply: 3x3 of stride 1 with a border of one.
    func isWinogradCase(_ layer: Layer, _ window: LayerWindow) -> Bool {
        let x = program.tensors[layer.inputs[0]], y = program.tensors[layer.output]
        return window == LayerWindow(size: 3, stride: 1, dilation: 1, top: 1, left: 1) && y.height == x.height
            && y.width == x.width
            && !x.planes
    }

    /// Winograd's transform for a layer, by the schedule or else by the model.
    func winograd(_ x: LayerTensor, _ y: LayerTensor) -> Winograd? {
        guard let tile = options.winograd else { return Winograd.choose(x, y, unit: unit) }
        return tile > 0 ? Winograd(tile: tile) : nil
    }

    /// What the shares of a dense layer are made of, by the schedule or else by the model.
    func split(_ layer: Layer) -> Split {
        options.split ?? defaultSplit(layer)
    }

    /// The split whose dearest share costs least: multiply-adds in the tiling's cycles, against what has to be streamed.
    ///
    /// By channels a share streams its own weights and all inputs; by rows all weights and its own inputs.
    func defaultSplit(_ layer: Layer) -> Split {
        guard case .dense(let window) = layer.kind, unit.threads > 1 else { return .rows }
        let x = program.tensors[layer.inputs[0]], y = program.tensors[layer.output]
        if x.planes { return .rows }
        let n = Double(unit.threads), weights = Double(layer.weights.count) * 4,
            inputs = Double(x.pixels * x.channels) * 4
        if isWinogradCase(layer, window), let choice = winograd(x, y) {
            // Transformed inputs have their place in every second cache, or weights do.
            let positions = Double(choice.positions), m = choice.tile
            let tiles = Double(((y.height + m - 1) / m) * ((y.width + m - 1) / m))
            return weights / 9 * positions > tiles * positions * Double(x.channels) * 4 ? .channels : .rows
        }
        func cost(_ split: Split) -> Double {
            let depth = x.channels * window.size * window.size, vectors = unit.vectors(y.channels)
            let cycles: Double
            if window.isPoint {
                cycles = Tiling(pixels: y.pixels, vectors: vectors, depth: depth, unit: unit, split: split)
                    .cost(depth: depth, unit: unit, split: split)
            } else {
                let rows = Tiling(
                    pixels: y.width, vectors: vectors, depth: depth, unit: unit,
                    split: split == .channels ? .channels : nil)
                let total = rows.cost(depth: depth, unit: unit, split: split == .channels ? .channels : nil)
                cycles = total * Double(y.height) * (split == .rows ? shares.largest(y.height) : 1)
            }
            let bytes = split == .channels ? weights / n + inputs : weights + inputs / n
            return max(cycles, bytes / 10) + bytes / 40
        }
        return cost(.channels) < cost(.rows) ? .channels : .rows
    }

    /// The largest divisor of `n` that satisfies the condition; one that gives all shares as much, where there is one.
    func sharedDivisor(of n: Int, _ shares: Shares, where fits: (Int) -> Bool) -> Int {
        guard shares.count > 1 else { return divisor(of: n, where: fits) }
        let choices = (1...n).filter { n % $0 == 0 && (fits($0) || $0 == 1) }
        return choices.min { (shares.largest(n / $0), -$0) < (shares.largest(n / $1), -$1) } ?? 1
    }

    func stemRows(_ y: LayerTensor, _ ys: Int, _ x: LayerTensor, _ window: LayerWindow) -> Int {
        sharedDivisor(of: y.height, shares) {
            (($0 - 1) * window.stride + window.size) * x.channels * (x.width + 2 * window.left) * 4 <= unit.l1
        }
    }

    /// The largest divisor of `n` that satisfies the condition, or 1.
    func divisor(of n: Int, where fits: (Int) -> Bool) -> Int {
        (1...n).reversed().first { n % $0 == 0 && fits($0) } ?? 1
    }
}

/// A convolution that reads planes: the rows it needs are copied with their border, then one table entry serves each input.
struct Stem {
    let layer: Layer
    let window: LayerWindow
    let x: LayerTensor
    let y: LayerTensor
    /// Output rows whose inputs are copied at once.
    let rows: Int
    let columns: Int
    let inputRows: Int

    init(layer: Layer, window: LayerWindow, x: LayerTensor, y: LayerTensor, rows: Int, unit: VectorUnit) {
        self.layer = layer
        self.window = window
        self.x = x
        self.y = y
        self.rows = rows
        columns = (y.width - 1) * window.stride + (window.size - 1) * window.dilation + 1
        inputRows = (rows - 1) * window.stride + (window.size - 1) * window.dilation + 1
    }

    var rowStep: Int { window.stride * columns }
    var scratch: Int { (x.channels * inputRows * columns + 15) / 16 * 16 }

    var table: [String] {
        var offsets: [Int] = []
        for c in 0..<x.channels {
            for ky in 0..<window.size {
                for kx in 0..<window.size {
                    offsets.append((c * inputRows + ky * window.dilation) * columns + kx * window.dilation)
                }
            }
        }
        return ["static const int taps[\(offsets.count)] = {\(offsets.map(String.init).joined(separator: ", "))};"]
    }

    func pack(blob: inout WeightBlob, unit: VectorUnit) -> PackedMatrix {
        PackedMatrix(
            layer.weights, bias: layer.bias, outputs: y.channels, inputs: x.channels, taps: window.size * window.size,
            order: .channelsOutside, pixels: y.width, unit: unit, blob: &blob)
    }

    /// Copies the input rows of output rows `first ..< last` (C expressions).
    func copy(first: String, last: String, into buffer: String) -> [String] {
        let inner = min(x.width, columns - window.left)
        let reach = (window.size - 1) * window.dilation
        return [
            "for (long c = 0; c < \(x.channels); ++c) {",
            "    const long n = (\(last) - 1 - (\(first))) * \(window.stride) + \(reach + 1);",
            "    for (long i = 0; i < n; ++i) {",
            "        long j = (\(first)) * \(window.stride) - \(window.top) + i;",
            "        float *d = \(buffer) + (c * \(inputRows) + i) * \(columns);",
            "        if (j < 0 || j >= \(x.height)) {",
            "            memset(d, 0, \(columns) * sizeof(float));",
            "            continue;",
            "        }",
        ] + (window.left > 0 ? ["        memset(d, 0, \(window.left) * sizeof(float));"] : []) + [
            "        memcpy(d + \(window.left), x + (c * \(x.height) + j) * \(x.width), \(inner) * sizeof(float));",
            // The caller's image has left the near caches: the rows of the next copy come in while this one's are used.
            "        if (j + n < \(x.height))",
            "            for (long b = 0; b < \(x.width); b += 16) MT_PREFETCH(x + (c * \(x.height) + j + n) * \(x.width) + b);",
        ]
            + (window.left + inner < columns
                ? ["        memset(d + \(window.left + inner), 0, \(columns - window.left - inner) * sizeof(float));"]
                : []) + ["    }", "}"]
    }
}
