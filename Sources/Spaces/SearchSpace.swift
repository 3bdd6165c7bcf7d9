/// A space of networks as data: a stem, stages of blocks or cells with choice points, and a head.
///
/// Read from a YAML file of `models/`; see ``init(yaml:file:)``. An ``Architecture`` picks one alternative at each of
/// ``sites``, and a ``Supernet`` builds the graph of any of them.
public struct SearchSpace: Hashable, Sendable {
    /// The only version of the file format so far.
    public static let formatVersion = 1

    public var name: String
    /// Where the space comes from: paper, section.
    public var source: String
    /// The shape of one image.
    public var input: ImageShape
    public var classes: Int
    /// What batch normalisation adds to the variance.
    public var epsilon: Double
    /// The share of paths that a network trained by itself drops in the cells at the end of training, rising from 0.
    ///
    /// - Source: Liu et al., *DARTS*, ICLR 2019, section 3.2 and released code.
    public var pathDropout = 0.0
    /// A second classifier that a network trained by itself has while it trains.
    public var auxiliary: Auxiliary?
    /// Settings of every block that has none of its own.
    public var settings: Settings
    public var stem: [Block]
    public var stages: [Stage]
    public var head: [Block]
    public var cells: [Cell]
    /// Every choice point, in the order of the file.
    public var sites: [ChoicePoint]

    /// A classifier that reads the output of a stage, its loss added with a weight.
    ///
    /// - Source: Szegedy et al., *Going Deeper with Convolutions*, CVPR 2015, section 5; as in DARTS.
    public struct Auxiliary: Hashable, Sendable {
        /// The stage's name.
        public var stage: String
        public var weight: Double
    }

    public struct ImageShape: Hashable, Codable, Sendable, CustomStringConvertible {
        public var channels, height, width: Int

        public init(channels: Int, height: Int, width: Int) {
            (self.channels, self.height, self.width) = (channels, height, width)
        }

        public var description: String { "\(channels)x\(height)x\(width)" }
    }

    /// A setting that is fixed, or left to a choice point.
    public enum Setting: Hashable, Sendable {
        case fixed(SettingValue)
        /// The index of the site and the value that each of its alternatives stands for.
        case chosen(site: Int, [SettingValue])

        /// Every value it can take.
        public var values: [SettingValue] {
            switch self {
            case .fixed(let value): [value]
            case .chosen(_, let values): values
            }
        }
    }

    public typealias Settings = [String: Setting]

    /// A run of blocks of one width.
    public struct Stage: Hashable, Sendable {
        public var name: String
        public var settings: Settings
        /// The stride of the stage's first block; the others have 1.
        public var stride: Int
        /// A fixed block in front that takes the stride and the change of width, as in front of cells.
        public var reduction: Block?
        public var body: [Position]
    }

    /// One place of a stage.
    public struct Position: Hashable, Sendable {
        public var name: String
        public var content: Content

        public enum Content: Hashable, Sendable {
            case fixed(Block)
            case chosen(site: Int, [Block])
            /// The index of a cell of the space.
            case cell(Int)
        }
    }

    /// A small graph of operators that are chosen, the same in all its copies.
    public struct Cell: Hashable, Sendable {
        /// What is chosen, and what a cell reads and gives.
        public enum Wiring: String, CaseIterable, Hashable, Sendable {
            /// Every edge has an operator. Node 0 is the input; a node is the sum of the edges from all nodes before it;
            /// the last one is the output.
            ///
            /// - Source: Dong and Yang, *NAS-Bench-201*, ICLR 2020, section 2.1.
            case dense
            /// Every edge has an operator. Nodes 0 and 1 are the outputs of the two cells before, brought to the cell's
            /// width; the output is the concatenation of the other nodes. A stride acts on the edges from the inputs.
            ///
            /// - Source: Liu et al., *DARTS*, ICLR 2019, section 2.1 and released code.
            case twoInputs = "two_inputs"
            /// Inputs and output as above, but a node is the sum of two slots, each of which chooses a node before it
            /// and, independently, an operator.
            ///
            /// - Source: Vahdat et al., *UNAS*, CVPR 2020, section 4.1.
            case twoSlots = "two_slots"

            /// How many nodes are not computed.
            public var inputs: Int { self == .dense ? 1 : 2 }
        }

        public var name: String
        public var wiring: Wiring
        /// The nodes, inputs included.
        public var nodes: Int
        public var operators: [Block]
        /// The first of the cell's sites. Edges are ordered by the node they end at, then by the one they start from;
        /// slots by node, each as input and operator.
        public var firstSite: Int

        public var siteCount: Int {
            wiring == .twoSlots ? 4 * (nodes - 2) : nodes * (nodes - 1) / 2 - wiring.inputs * (wiring.inputs - 1) / 2
        }

        /// The site of the edge between two nodes.
        public func site(from: Int, to: Int) -> Int {
            firstSite + to * (to - 1) / 2 - wiring.inputs * (wiring.inputs - 1) / 2 + from
        }

        /// The sites of a slot of a node: its input and its operator.
        public func slot(_ slot: Int, of node: Int) -> (input: Int, operator: Int) {
            let first = firstSite + 4 * (node - 2) + 2 * slot
            return (first, first + 1)
        }
    }

    /// How many alternatives each site has: the alphabet that samplers and evolution work on.
    public var alphabet: [Int] { sites.map(\.alternatives.count) }

    /// How many architectures there are.
    public var size: Double { alphabet.reduce(1) { $0 * Double($1) } }

    /// Whether an architecture has one valid index per site.
    public func contains(_ architecture: Architecture) -> Bool {
        architecture.choices.count == sites.count
            && zip(architecture.choices, sites).allSatisfy { $1.alternatives.indices.contains($0) }
    }
}
