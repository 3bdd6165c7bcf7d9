import IR

/// A kind of block a space can be made of: its keyword, the settings it takes and how it is built.
///
/// Each kind is a constant in a file of its own; ``all`` lists them.
public struct BlockKind: Sendable {
    typealias Build =
        @Sendable (Feature, BlockSettings, inout NetworkBuilder) throws(ShapeError) -> Feature?

    /// The name in YAML.
    public let keyword: String
    /// The settings it takes; one without a default must be given with the block, by its stage or by the space.
    let settings: [(key: String, standard: SettingValue?)]
    /// Whether the result has the input's shape whatever the settings say, so that the block cannot begin a stage.
    let preservesShape: Bool
    /// Whether the block may be an edge of a cell.
    let isCellOperator: Bool
    /// Appends the block to a network; `nil` stands for zeros of the input's shape.
    let build: Build

    init(
        _ keyword: String, settings: [(key: String, standard: SettingValue?)] = [], preservesShape: Bool = false,
        isCellOperator: Bool = false, build: @escaping Build
    ) {
        self.keyword = keyword
        self.settings = settings
        self.preservesShape = preservesShape
        self.isCellOperator = isCellOperator
        self.build = build
    }

    /// Every kind of block, in the order in which errors list them.
    static let all: [BlockKind] = [
        .convolution, .mbconv, .skip, .residual, .shuffle, .xception, .batchNorm, .globalAveragePool, .dropout, .linear,
        .cellNone, .cellSkip, .cellConvolution1x1, .cellConvolution3x3, .cellAveragePool3x3, .cellMaxPool3x3,
        .cellSeparable3x3, .cellSeparable5x5, .cellSeparable7x7, .cellDilated3x3, .cellDilated5x5,
    ]
}

extension BlockKind: Hashable {
    public static func == (a: BlockKind, b: BlockKind) -> Bool { a.keyword == b.keyword }
    public func hash(into hasher: inout Hasher) { hasher.combine(keyword) }
}

/// A block of a space: a kind with the settings written beside it.
public struct Block: Hashable, Sendable {
    public var kind: BlockKind
    /// The settings given with the block, by key; others come from the stage, the space or the kind's defaults.
    public var settings: [String: SettingValue]

    public init(_ kind: BlockKind, _ settings: [String: SettingValue] = [:]) {
        (self.kind, self.settings) = (kind, settings)
    }

    /// The name of the block among alternatives, as in `mbconv_k3_e6`.
    public var label: String {
        let parts = SettingKey.all.compactMap { key in settings[key.name].map { key.abbreviation + $0.description } }
        return ([kind.keyword] + parts).joined(separator: "_")
    }
}
