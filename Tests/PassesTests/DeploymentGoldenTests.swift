import IR
import Operators
import Passes
import TestSupport
import Testing

/// One folder of golden graphs for each deployment pass.
@Suite struct DeploymentGoldenTests {
    static let passes = [
        removeDeadCode, foldConstants, removeIdentities, mergeDuplicates, foldBatchNorm, recogniseActivations,
        recogniseMeans, fuseEpilogues, narrowRows,
        legaliseForC,
    ]

    @Test(arguments: passes.flatMap { GoldenCase.all(of: $0.name) }) func rewrites(golden: GoldenCase) throws {
        let pass = try #require(Self.passes.first { $0.name == golden.pass })
        try golden.check { try $0.applying(pass) }
    }

    @Test func everyPassHasGoldenGraphs() {
        for pass in Self.passes + [widenHalf] { #expect(!GoldenCase.all(of: pass.name).isEmpty, "\(pass.name)") }
    }

    /// Results differ by roundings to 16 bits, which is the point.
    @Test(arguments: GoldenCase.all(of: "widen-half")) func widens(golden: GoldenCase) throws {
        try golden.check(keepsMeaning: false) { try $0.applying(widenHalf) }
    }

    @Test(arguments: GoldenCase.all(of: "bind-parameters")) func binds(golden: GoldenCase) throws {
        let values = ["conv.filter": Literal([1.0, 2.0], shape: [2, 1, 1, 1]), "conv.bias": Literal([3.0, 4.0])]
        try golden.check(keepsMeaning: false) { try $0.applying(bindParameters(to: values)) }
    }

    @Test func bindingNamesWhatIsMissingOrWrong() throws {
        let graph = try Graph(parsing: "graph @g() {\n  %0 = parameter \"w\" : f32[2]\n  return %0\n}\n")
        #expect(throws: PassError("no value was given for parameter \"w\"", pass: "bind-parameters")) {
            try graph.applying(bindParameters(to: [:]))
        }
        #expect(throws: PassError("parameter \"w\" is f32[2], but its value is f32[3]", pass: "bind-parameters")) {
            try graph.applying(bindParameters(to: ["w": Literal([1.0, 2.0, 3.0])]))
        }
    }

    @Test func anOperatorWithoutCIsRefusedByName() throws {
        let graph = try Graph(
            parsing: """
                graph @g(%x: f32[2,3], %d: f32[2]) {
                  %0 = slice_gradient "back" %d {slice = {starts = [0], sizes = [2], steps = [1]}, shape = [4]} : f32[4]
                  return %0
                }
                """)
        #expect(
            throws: PassError(
                "slice_gradient \"back\" has no C for operands (f32[2]), nor a decomposition", pass: "legalise-for-c")
        ) {
            try graph.applying(legaliseForC)
        }
    }
}
