import Foundation
import IR
import Spaces
import Testing

@Suite struct SearchSpaceTests {
    @Test func theLibraryHoldsEveryModel() throws {
        let library = SpaceLibrary()
        #expect(library.names.map { $0 + ".yaml" } == modelNames)
        for name in library.names { #expect(try library.space(name) == loadModel(name + ".yaml")) }
        let path = modelsFolder.appending(path: "micro-125.yaml").path
        #expect(try library.space(path) == library.space("micro-125"))
        let error = #expect(throws: SpaceError.self) { try library.space("mbconv") }
        #expect(
            error?.description.hasPrefix("unknown search space 'mbconv'; known: darts-20, darts-factorised-micro,")
                == true)
    }

    @Test(arguments: modelNames) func everyModelLoadsAndItsArchitecturesReadBack(file: String) throws {
        let space = try loadModel(file)
        #expect(space.name + ".yaml" == file)
        #expect(!space.source.isEmpty)
        #expect(Set(space.sites.map(\.site)).count == space.sites.count)
        #expect(
            space.sites.allSatisfy { Set($0.alternatives).count == $0.alternatives.count && $0.alternatives.count > 1 })
        var random = RandomSource(seed: 1)
        for _ in 0..<100 {
            let architecture = Architecture(choices: space.alphabet.map { random.integer(below: $0) })
            #expect(space.contains(architecture))
            #expect(try space.architecture(space.text(of: architecture)) == architecture)
        }
    }

    @Test func nasBench201HasItsSizeOrderAndNotation() throws {
        let space = try loadModel("nas-bench-201.yaml")
        #expect(space.size == 15625)
        let text = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_1x1~1|skip_connect~2|"
        let architecture = try space.architecture(text)
        #expect(architecture.choices == [3, 0, 1, 4, 2, 1])
        #expect(space.text(of: architecture) == text)
        #expect(
            space.sites.map(\.site) == ["cell.0to1", "cell.0to2", "cell.1to2", "cell.0to3", "cell.1to3", "cell.2to3"])
    }

    @Test func theChainHasTheCandidatesOfItsPaper() throws {
        let space = try loadModel("mbconv-224.yaml")
        let blocks = space.sites.filter { $0.role == .branch }
        #expect(blocks.count == 21)
        let candidates = [3, 5, 7].flatMap { k in [3, 6].map { "mbconv_k\(k)_e\($0)" } }
        for block in blocks {
            // A stage's first block changes the shape, so it cannot be skipped.
            #expect(block.alternatives == (block.site.hasSuffix("block1") ? candidates : candidates + ["skip"]))
        }
        #expect(space.stages.map(\.stride) == [2, 2, 2, 1, 2, 1])
    }

    @Test func theTextOfAChainNamesSites() throws {
        let space = try SearchSpace(yaml: small, file: "small.yaml")
        #expect(space.sites.map(\.site) == ["activation", "body.width", "body.block1", "body.block2"])
        #expect(space.alphabet == [2, 2, 2, 3])
        let architecture = Architecture(choices: [1, 0, 1, 2])
        #expect(
            space.text(of: architecture) == "{activation=silu} body{width=8 block1=mbconv_k5_e3 block2=skip}")
        let reordered = " body{block2=skip width=8 block1=mbconv_k5_e3}\n{activation=silu}"
        #expect(try space.architecture(reordered) == architecture)
    }

    @Test(arguments: [
        ("body{width=9}", "architecture: unknown '9' at body.width; known: 8, 12."),
        ("body{depth=9}", "architecture: unknown site 'body.depth' in the space small"),
        ("body{width=8} body{width=8}", "architecture: site 'body.width' is given twice"),
        ("body{width=8}", "architecture: no value for activation, body.block1, body.block2"),
        ("body{width}", "architecture: expects 'site=value', found 'width'"),
        ("body", "architecture: expects 'name{site=value …}', found 'body'"),
    ])
    func aWrongArchitectureIsExplained(text: String, message: String) throws {
        let space = try SearchSpace(yaml: small, file: "small.yaml")
        let error = #expect(throws: SpaceError.self) { try space.architecture(text) }
        #expect(error?.description == message)
    }

    @Test(arguments: [
        ("|none~0|", "architecture: expects 3 nodes joined by '+', found 1 in '|none~0|'"),
        (
            "|none~0|+|none~0|+|none~0|none~1|none~2|",
            "architecture: node 2 expects 2 edges between '|', found '|none~0|'"
        ),
        ("|none~1|+|none~0|none~1|+|none~0|none~1|none~2|", "architecture: expects 'operator~0', found 'none~1'"),
        (
            "|conv~0|+|none~0|none~1|+|none~0|none~1|none~2|",
            "architecture: unknown 'conv' at cell.0to1; known: none, skip_connect, nor_conv_1x1, nor_conv_3x3, avg_pool_3x3."
        ),
    ])
    func aWrongCellIsExplained(text: String, message: String) throws {
        let space = try loadModel("nas-bench-201.yaml")
        let error = #expect(throws: SpaceError.self) { try space.architecture(text) }
        #expect(error?.description == message)
    }

    @Test(arguments: [
        (
            "mbconv:", "mbconv7:",
            "small.yaml:13:14: body: unknown block 'mbconv7'; known: conv, mbconv, skip, residual,"
        ),
        (
            "kernel: [3, 5]", "kernels: [3, 5]",
            "small.yaml:13:23: mbconv: unknown key 'kernels'; known: kernel, expansion,"
        ),
        ("kernel: [3, 5]", "kernel: [3, 4]", "small.yaml:13:35: kernel of mbconv: expects an odd number, found 4"),
        ("kernel: [3, 5]", "kernel: [3, 3]", "small.yaml:13:35: kernel of mbconv: 3 is listed twice"),
        ("kernel: [3, 5], ", "", "small.yaml:13:14: body: mbconv needs 'kernel', here or in its stage"),
        ("depth: 2", "deep: 2", "small.yaml:12:5: stage 1: unknown key 'deep'; known: name, depth, blocks,"),
        ("depth: 2", "depth: two", "small.yaml:12:12: depth of body: expects an integer, found 'two'"),
        ("depth: 2", "depth: 0", "small.yaml:12:12: depth of body: expects 1 to 256, found 0"),
        ("silu", "gelu9", "small.yaml:7:20: activation of the space: unknown 'gelu9'; known: none, relu, relu6,"),
        ("format: 1", "format: 2", "small.yaml:1:9: format: this program reads version 1. Is it older than the file?"),
        ("[1, 8, 8]", "[1, 8]", "small.yaml:4:8: input: expects [channels, height, width], found 2 numbers"),
        ("classes: 10\n", "", "small.yaml:1:1: the space: needs 'classes'"),
        ("classes: 10", "classes: 1", "small.yaml:5:10: classes: expects 2 to 1000000, found 1"),
        ("name: small", "name: [small]", "small.yaml:2:7: name: expects a word, found a list"),
        ("- linear", "- linear: {kernel: 3}", "small.yaml:17:14: linear: unknown key 'kernel'; known: ."),
        ("- linear", "- conv: {kernel: [1, 3], width: 8}", "small.yaml:17:5: head: one block is fixed here;"),
        (", skip]", "]\n    cell: x", "small.yaml:10:5: body: has both 'cell' and 'blocks'"),
        ("name: body", "name: a.b", "small.yaml:10:5: stage 1: the name 'a.b' must not hold spaces, dots,"),
        ("name: small", "name: small\nname: small", "small.yaml:2:1: the same key twice: name"),
        ("source: ours", "source: 'ours", "small.yaml:17:11: not valid YAML: found unexpected end of stream"),
    ])
    func aWrongSpaceIsExplainedAtItsPlace(old: String, new: String, message: String) throws {
        let broken = small.replacing(old, with: new, maxReplacements: 1)
        #expect(broken != small)
        let error = #expect(throws: SpaceError.self) { try SearchSpace(yaml: broken, file: "small.yaml") }
        let text = error?.description ?? ""
        #expect(text.hasPrefix(message), "\(text)")
    }

    @Test func aSpaceWithoutChoiceIsRefused() throws {
        let fixed = small.replacing("[relu, silu]", with: "relu").replacing("[8, 12]", with: "8")
            .replacing("[3, 5]", with: "3").replacing(", skip", with: "")
        let error = #expect(throws: SpaceError.self) { try SearchSpace(yaml: fixed, file: "small.yaml") }
        #expect(error?.code == .missing)
    }

    @Test func aCellKeepsItsResolution() throws {
        let text = """
            format: 1
            name: cells
            source: ours
            input: [3, 8, 8]
            classes: 2
            cells: {a: {nodes: 2, operators: [none, skip_connect]}}
            stem: [conv: {kernel: 3, width: 8, activation: relu}]
            stages: [{width: 8, stride: 2, cell: a}]
            head: [global_average_pool, linear]
            """
        let error = #expect(throws: SpaceError.self) { try SearchSpace(yaml: text, file: "cells.yaml") }
        #expect(
            error?.description
                == "cells.yaml:8:10: stage1: a cell keeps the resolution; give a 'reduction' block for stride 2")
        let unknown = text.replacing("cell: a", with: "cell: b")
        let other = #expect(throws: SpaceError.self) { try SearchSpace(yaml: unknown, file: "cells.yaml") }
        #expect(other?.description == "cells.yaml:8:38: stage1: unknown cell 'b'; known: a.")
    }
}

private let small = """
    format: 1
    name: small
    source: ours
    input: [1, 8, 8]
    classes: 10

    activation: [relu, silu]
    stem: [conv: {kernel: 3, width: 8}]
    stages:
      - name: body
        width: [8, 12]
        depth: 2
        blocks: [mbconv: {kernel: [3, 5], expansion: 3}, skip]

    head:
      - global_average_pool
      - linear
    """
