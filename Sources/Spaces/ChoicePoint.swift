/// A named place of a network where one of several alternatives is taken.
public struct ChoicePoint: Hashable, Sendable {
    /// What a choice decides.
    public enum Role: Hashable, Sendable {
        /// Which block runs. A relaxed supernet can run all of them and mix.
        case branch
        /// A value that the rest of the network is built with (a width, an activation). Only a path can decide it.
        case setting
    }

    /// The name, unique in its space: `stage1.block2`, `stage1.width`, `cell.0to1`.
    public var site: String
    public var role: Role
    /// The labels of the alternatives, in order; an architecture holds the index of one.
    public var alternatives: [String]

    public init(site: String, role: Role, alternatives: [String]) {
        (self.site, self.role, self.alternatives) = (site, role, alternatives)
    }
}

/// One value per choice point: the index of the alternative taken, in the order of the space's sites.
///
/// A search works on indices; ``SearchSpace/text(of:)`` and ``SearchSpace/architecture(_:)`` convert to the form people
/// read and back.
public struct Architecture: Hashable, Sendable {
    public var choices: [Int]

    public init(choices: [Int]) { self.choices = choices }

    public subscript(site: Int) -> Int { choices[site] }
}

/// Stored as a plain list of indices.
extension Architecture: Codable {
    public init(from decoder: any Decoder) throws { choices = try [Int](from: decoder) }
    public func encode(to encoder: any Encoder) throws { try choices.encode(to: encoder) }
}
