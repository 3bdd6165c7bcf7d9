extension SearchSpace {
    /// The readable form of an architecture; ``architecture(_:)`` reads it back.
    ///
    /// A space whose sites are the edges of one cell uses the notation of NAS-Bench-201,
    /// `|nor_conv_3x3~0|+|none~0|skip_connect~1|`, one whose sites are cells of two inputs that of DARTS, `Genotype(…)`.
    /// Any other groups its sites: `stage1{width=24 block1=skip} …`.
    public func text(of architecture: Architecture) -> String {
        precondition(contains(architecture), "the architecture is not of the space \(name)")
        if let cell = soleCell { return cellText(of: architecture, cell) }
        if hasGenotypes { return genotype(of: architecture) }
        var groups: [(name: String, parts: [String])] = []
        for (site, choice) in zip(sites, architecture.choices) {
            let (group, rest) = split(site.site)
            let part = "\(rest)=\(site.alternatives[choice])"
            if groups.last?.name == group {
                groups[groups.count - 1].parts.append(part)
            } else {
                groups.append((group, [part]))
            }
        }
        return groups.map { "\($0.name){\($0.parts.joined(separator: " "))}" }.joined(separator: " ")
    }

    /// Reads the form that ``text(of:)`` writes.
    ///
    /// - Throws: ``SpaceError`` naming the site, and the alternatives it has.
    public func architecture(_ text: String) throws(SpaceError) -> Architecture {
        if let cell = soleCell { return try cellArchitecture(text, cell) }
        if hasGenotypes { return try architecture(genotype: text) }
        var choices = [Int?](repeating: nil, count: sites.count)
        var rest = Substring(text).drop { $0 == " " || $0 == "\n" }
        while !rest.isEmpty {
            guard let open = rest.firstIndex(of: "{"), let close = rest[open...].firstIndex(of: "}") else {
                throw SpaceError(.syntax, "architecture: expects 'name{site=value …}', found '\(rest)'")
            }
            let group = rest[..<open]
            for part in rest[rest.index(after: open)..<close].split(separator: " ") {
                let pair = part.split(separator: "=", maxSplits: 1)
                guard pair.count == 2 else {
                    throw SpaceError(.syntax, "architecture: expects 'site=value', found '\(part)'")
                }
                let siteName = group.isEmpty ? String(pair[0]) : "\(group).\(pair[0])"
                guard let index = sites.firstIndex(where: { $0.site == siteName }) else {
                    throw SpaceError(.unknown, "architecture: unknown site '\(siteName)' in the space \(name)")
                }
                guard choices[index] == nil else {
                    throw SpaceError(.conflict, "architecture: site '\(siteName)' is given twice")
                }
                choices[index] = try choice(String(pair[1]), at: sites[index])
            }
            rest = rest[rest.index(after: close)...].drop { $0 == " " || $0 == "\n" }
        }
        let missing = zip(sites, choices).filter { $1 == nil }.map(\.0.site)
        guard missing.isEmpty else {
            throw SpaceError(.missing, "architecture: no value for \(missing.joined(separator: ", "))")
        }
        return Architecture(choices: choices.compactMap { $0 })
    }

    private func choice(_ label: String, at site: ChoicePoint) throws(SpaceError) -> Int {
        guard let index = site.alternatives.firstIndex(of: label) else {
            throw SpaceError(
                .unknown,
                "architecture: unknown '\(label)' at \(site.site); known: \(site.alternatives.joined(separator: ", "))."
            )
        }
        return index
    }

    private func split(_ site: String) -> (group: String, rest: String) {
        guard let dot = site.firstIndex(of: ".") else { return ("", site) }
        return (String(site[..<dot]), String(site[site.index(after: dot)...]))
    }

    private var soleCell: Cell? {
        cells.count == 1 && cells[0].wiring == .dense && cells[0].siteCount == sites.count ? cells[0] : nil
    }

    private func cellText(of architecture: Architecture, _ cell: Cell) -> String {
        (1..<cell.nodes).map { to in
            (0..<to).map { from in
                let site = cell.site(from: from, to: to)
                return "|\(sites[site].alternatives[architecture[site]])~\(from)"
            }.joined() + "|"
        }.joined(separator: "+")
    }

    private func cellArchitecture(_ text: String, _ cell: Cell) throws(SpaceError) -> Architecture {
        let nodes = text.split(separator: "+", omittingEmptySubsequences: false)
        guard nodes.count == cell.nodes - 1 else {
            throw SpaceError(
                .syntax,
                "architecture: expects \(cell.nodes - 1) nodes joined by '+', found \(nodes.count) in '\(text)'")
        }
        var choices = [Int](repeating: 0, count: sites.count)
        for (index, node) in nodes.enumerated() {
            let edges = node.split(separator: "|")
            guard node.first == "|", node.last == "|", edges.count == index + 1 else {
                throw SpaceError(
                    .syntax, "architecture: node \(index + 1) expects \(index + 1) edges between '|', found '\(node)'")
            }
            for (from, edge) in edges.enumerated() {
                let parts = edge.split(separator: "~")
                guard parts.count == 2, parts[1] == "\(from)" else {
                    throw SpaceError(.syntax, "architecture: expects 'operator~\(from)', found '\(edge)'")
                }
                let site = cell.site(from: from, to: index + 1)
                choices[site] = try choice(String(parts[0]), at: sites[site])
            }
        }
        return Architecture(choices: choices)
    }
}
