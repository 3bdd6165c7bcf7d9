extension SearchSpace {
    /// Reads a space from YAML, the format of the files in `models/`.
    ///
    /// - Parameter file: what errors call the text.
    /// - Throws: ``SpaceError`` with line and column: bad YAML, an unknown key, block, operator or value (the known ones
    ///   are listed), a value out of range, or a block that lacks a setting.
    public init(yaml text: String, file: String) throws(SpaceError) {
        let root = try Description(text: text, file: file)
        let known = [
            "format", "name", "source", "input", "classes", "batch_norm_epsilon", "activation", "squeeze_excite",
            "path_dropout", "auxiliary", "stem", "cells", "stages", "head",
        ]
        let fields = try root.fields("the space", known: known)
        let version = try fields.required("format")
        guard try version.integer("format", in: 1...1_000_000) == Self.formatVersion else {
            throw version.error(
                .value, "format: this program reads version \(Self.formatVersion). Is it older than the file?")
        }
        name = try fields.required("name").string("name")
        source = try fields.required("source").string("source")
        input = try Self.shape(try fields.required("input"))
        classes = try fields.required("classes").integer("classes", in: 2...1_000_000)
        epsilon = try fields["batch_norm_epsilon"]?.real("batch_norm_epsilon", in: 1e-12...1) ?? 1e-5

        pathDropout = try fields["path_dropout"]?.real("path_dropout", in: 0...0.99) ?? 0

        var reader = SpaceReader()
        settings = try reader.settings(of: fields, in: "the space", prefix: "")
        stem = try reader.blocks(try fields.required("stem"), in: "stem", below: settings)
        cells = []
        if let list = fields["cells"] { cells = try reader.cells(list, below: settings) }
        stages = []
        for item in try fields.required("stages").list("stages") {
            let stage = try reader.stage(item, number: stages.count + 1, below: settings, cells: cells)
            guard !stages.contains(where: { $0.name == stage.name }) else {
                throw item.error(.conflict, "stages: two are called '\(stage.name)'")
            }
            stages.append(stage)
        }
        if let item = fields["auxiliary"] { auxiliary = try Self.auxiliary(item, of: stages) }
        head = try reader.blocks(try fields.required("head"), in: "head", below: settings)
        sites = reader.sites
        guard !sites.isEmpty else { throw root.error(.missing, "the space has no choice point: give a list somewhere") }
    }

    private static func auxiliary(_ text: Description, of stages: [Stage]) throws(SpaceError) -> Auxiliary {
        let fields = try text.fields("auxiliary", known: ["after", "weight"])
        let place = try fields.required("after"), stage = try place.string("after of auxiliary")
        guard stages.contains(where: { $0.name == stage }) else {
            let names = stages.map(\.name).joined(separator: ", ")
            throw place.error(.unknown, "auxiliary: unknown stage '\(stage)'; known: \(names).")
        }
        return Auxiliary(stage: stage, weight: try fields.required("weight").real("weight of auxiliary", in: 0...10))
    }

    private static func shape(_ text: Description) throws(SpaceError) -> ImageShape {
        let sides = try text.list("input")
        guard sides.count == 3 else {
            throw text.error(.value, "input: expects [channels, height, width], found \(sides.count) numbers")
        }
        return ImageShape(
            channels: try sides[0].integer("channels of input", in: 1...4096),
            height: try sides[1].integer("height of input", in: 1...8192),
            width: try sides[2].integer("width of input", in: 1...8192))
    }
}

/// Reads the parts of a space and numbers the choice points as they appear.
private struct SpaceReader {
    var sites: [ChoicePoint] = []

    /// Appends a choice point and returns its index.
    private mutating func addSite(_ name: String, _ role: ChoicePoint.Role, _ labels: [String]) -> Int {
        sites.append(ChoicePoint(site: name, role: role, alternatives: labels))
        return sites.count - 1
    }

    /// Settings that whole stages or spaces may have; a list makes a choice point.
    mutating func settings(
        of fields: Description.Fields, in subject: String, prefix: String
    ) throws(SpaceError) -> SearchSpace.Settings {
        var settings: SearchSpace.Settings = [:]
        for key in SettingKey.all {
            guard let value = fields[key.name], key.name != "stride" else { continue }
            let values = try key.readAlternatives(value, of: subject)
            if values.count == 1 {
                settings[key.name] = .fixed(values[0])
            } else {
                settings[key.name] = .chosen(
                    site: addSite(prefix + key.name, .setting, values.map(\.description)), values)
            }
        }
        return settings
    }

    /// A list of fixed blocks, such as a stem.
    mutating func blocks(
        _ text: Description, in subject: String, below settings: SearchSpace.Settings
    ) throws(SpaceError) -> [Block] {
        var blocks: [Block] = []
        for item in try text.list(subject) { blocks.append(try fixed(item, in: subject, below: settings)) }
        return blocks
    }

    func fixed(
        _ text: Description, in subject: String, below settings: SearchSpace.Settings
    ) throws(SpaceError) -> Block {
        let found = try alternatives(text, in: subject, below: settings)
        guard found.count == 1 else {
            throw text.error(.value, "\(subject): one block is fixed here; choices belong into the blocks of a stage")
        }
        return found[0]
    }

    /// The blocks that one entry stands for: lists among its settings multiply.
    func alternatives(
        _ text: Description, in subject: String, below settings: SearchSpace.Settings, cellOperators: Bool = false
    ) throws(SpaceError) -> [Block] {
        var (place, keyword, body): (Description, String, Description?)
        if text.isMapping {
            let pairs = try text.pairs(subject)
            guard pairs.count == 1 else {
                throw text.error(.value, "\(subject): expects one 'block: {settings}', found \(pairs.count) keys")
            }
            (place, keyword, body) = (pairs[0].key, pairs[0].name, pairs[0].value)
        } else {
            (place, keyword, body) = (text, try text.string("a block of \(subject)"), nil)
        }
        let known = BlockKind.all.filter { $0.isCellOperator == cellOperators }
        guard let kind = known.first(where: { $0.keyword == keyword }) else {
            throw place.error(
                .unknown,
                "\(subject): unknown \(cellOperators ? "operator" : "block") '\(keyword)'; "
                    + "known: \(known.map(\.keyword).joined(separator: ", ")).")
        }
        var found = [Block(kind)]
        if let body {
            let fields = try body.fields(keyword, known: kind.settings.map(\.key))
            for key in SettingKey.all {
                guard let value = fields[key.name] else { continue }
                let values = try key.readAlternatives(value, of: keyword)
                found = found.flatMap { block in
                    values.map { value in
                        var block = block
                        block.settings[key.name] = value
                        return block
                    }
                }
            }
        }
        for (key, standard) in kind.settings where standard == nil && found[0].settings[key] == nil {
            guard settings[key] != nil else {
                throw place.error(.missing, "\(subject): \(keyword) needs '\(key)', here or in its stage")
            }
        }
        return found
    }

    mutating func cells(_ text: Description, below settings: SearchSpace.Settings) throws(SpaceError) -> [SearchSpace
        .Cell]
    {
        var cells: [SearchSpace.Cell] = []
        for pair in try text.pairs("cells") {
            let subject = "cell \(pair.name)"
            let fields = try pair.value.fields(subject, known: ["wiring", "nodes", "operators"])
            var wiring = SearchSpace.Cell.Wiring.dense
            if let item = fields["wiring"] {
                let word = try item.string("wiring of \(subject)")
                guard let found = SearchSpace.Cell.Wiring(rawValue: word) else {
                    let known = SearchSpace.Cell.Wiring.allCases.map(\.rawValue).joined(separator: ", ")
                    throw item.error(.unknown, "wiring of \(subject): unknown '\(word)'; known: \(known).")
                }
                wiring = found
            }
            // The one input of a dense cell is counted among its nodes, as its paper does; two inputs are not.
            let low = wiring == .dense ? 2 : 1
            let given = try fields.required("nodes").integer("nodes of \(subject)", in: low...16)
            let nodes = wiring == .dense ? given : given + 2
            var operators: [Block] = []
            // Widths and strides of a cell's operators come from the stage.
            let inherited = settings.merging(["width": .fixed(.integer(1))]) { $1 }
            for item in try fields.required("operators").list("operators of \(subject)") {
                for block in try alternatives(item, in: subject, below: inherited, cellOperators: true) {
                    guard !operators.contains(block) else {
                        throw item.error(.conflict, "\(subject): \(block.label) is listed twice")
                    }
                    operators.append(block)
                }
            }
            let cell = SearchSpace.Cell(
                name: pair.name, wiring: wiring, nodes: nodes, operators: operators, firstSite: sites.count)
            for to in wiring.inputs..<nodes {
                if wiring == .twoSlots {
                    for slot in 0..<2 {
                        let inputs = (0..<to).map { "\($0)" }
                        _ = addSite("\(pair.name).\(to).input\(slot)", .branch, inputs)
                        _ = addSite("\(pair.name).\(to).operator\(slot)", .branch, operators.map(\.label))
                    }
                } else {
                    for from in 0..<to { _ = addSite("\(pair.name).\(from)to\(to)", .branch, operators.map(\.label)) }
                }
            }
            cells.append(cell)
        }
        return cells
    }

    mutating func stage(
        _ text: Description, number: Int, below outer: SearchSpace.Settings, cells: [SearchSpace.Cell]
    ) throws(SpaceError) -> SearchSpace.Stage {
        let known = ["name", "depth", "blocks", "cell", "reduction"] + SettingKey.all.map(\.name)
        let fields = try text.fields("stage \(number)", known: known)
        let name = try fields["name"]?.string("name of stage \(number)") ?? "stage\(number)"
        guard !name.contains(where: { " .{}=".contains($0) }) else {
            throw text.error(.value, "stage \(number): the name '\(name)' must not hold spaces, dots, braces or '='")
        }
        let own = try settings(of: fields, in: name, prefix: name + ".")
        let merged = outer.merging(own) { $1 }
        let stride = try fields["stride"]?.integer("stride of \(name)", in: 1...8) ?? 1
        let depth = try fields["depth"]?.integer("depth of \(name)", in: 1...256) ?? 1
        var reduction: Block?
        if let item = fields["reduction"] { reduction = try fixed(item, in: name, below: merged) }

        if let item = fields["cell"] {
            guard fields["blocks"] == nil else { throw text.error(.conflict, "\(name): has both 'cell' and 'blocks'") }
            let cell = try item.string("cell of \(name)")
            guard let index = cells.firstIndex(where: { $0.name == cell }) else {
                let names = cells.map(\.name).joined(separator: ", ")
                throw item.error(.unknown, "\(name): unknown cell '\(cell)'; known: \(names.isEmpty ? "none" : names).")
            }
            if cells[index].wiring == .dense {
                guard stride == 1 || reduction != nil else {
                    throw text.error(
                        .conflict, "\(name): a cell keeps the resolution; give a 'reduction' block for stride \(stride)"
                    )
                }
            } else {
                guard merged["width"] != nil else {
                    throw text.error(.missing, "\(name): the cell \(cell) needs 'width', here or in the space")
                }
            }
            let body = (1...depth).map { SearchSpace.Position(name: "cell\($0)", content: .cell(index)) }
            return .init(name: name, settings: merged, stride: stride, reduction: reduction, body: body)
        }

        var blocks: [Block] = []
        for item in try fields.required("blocks").list("blocks of \(name)") {
            for block in try alternatives(item, in: name, below: merged) {
                guard !blocks.contains(block) else {
                    throw item.error(.conflict, "\(name): \(block.label) is listed twice")
                }
                blocks.append(block)
            }
        }
        var body: [SearchSpace.Position] = []
        for index in 1...depth {
            // What keeps the shape cannot stand where the shape changes.
            let offered = index == 1 && reduction == nil ? blocks.filter { !$0.kind.preservesShape } : blocks
            guard !offered.isEmpty else {
                throw text.error(
                    .conflict, "\(name): needs a block that can change width and stride in its first place")
            }
            let position = "block\(index)"
            if offered.count == 1 {
                body.append(.init(name: position, content: .fixed(offered[0])))
            } else {
                let site = addSite("\(name).\(position)", .branch, offered.map(\.label))
                body.append(.init(name: position, content: .chosen(site: site, offered)))
            }
        }
        return .init(name: name, settings: merged, stride: stride, reduction: reduction, body: body)
    }
}
