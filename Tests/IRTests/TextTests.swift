import IR
import Operators
import Testing

@Suite struct TextTests {
    private let text = """
        graph @block(%x: f32[1,2,4,4], %_0 "odd name": i64[3]) {
          %0 = parameter "conv.filter" : f32[2,2,3,3]
          %1 = conv2d "conv" %x, %0 {padding = [1, 1, 1, 1]} : f32[1,2,4,4]
          %2 = relu %1 schedule {tile = [14, 2], kernel = "direct"} : f32[1,2,4,4]
          %3 = constant [1.0, -0.5] : f32[2]
          %4 = constant 0x0000c07f : f32[1]
          %5 = clip %2 {high = 6.0} : f32[1,2,4,4]
          return %5 "features", %2
        }

        """

    @Test func readingAndPrintingAreInverse() throws {
        let graph = try Graph(parsing: text)
        try graph.verify()
        #expect(graph.description == text)
        #expect(try Graph(parsing: graph.description) == graph)
        #expect(graph.inputNames == ["x", "odd name"])
        #expect(graph.outputNames == ["features", "output1"])
        #expect(graph.nodes[1].name == "conv")
    }

    @Test func layoutsArePrinted() throws {
        let text = """
            graph @g(%x: f32[1,3,4,4]@nhwc16) {
              %0 = relu %x : f32[1,3,4,4]@nhwc16
              return %0
            }

            """
        let graph = try Graph(parsing: text)
        #expect(graph.type(of: graph.outputs[0]).storedCount == 4 * 4 * 16)
        #expect(graph.description == text)
    }

    @Test(arguments: [
        ("%0 = rely %x : f32[2]", "graph:2:7: unknown operator 'rely'; similar: relu"),
        ("%0 = clip %x {hihg = 6.0} : f32[2]", "graph:2:7: clip: unknown attribute 'hihg'; known: low, high"),
        ("%0 = clip %x {high = true} : f32[2]", "graph:2:7: clip: attribute 'high': expected a number, found true"),
        ("%0 = relu %y : f32[2]", "graph:2:12: %y is not defined before its use"),
        ("%0 = relu %x : f32[3]", "graph:2:7: relu gives [f32[2]], but [f32[3]] is written"),
        ("%0 = relu %x, %x : f32[2]", "graph:2:7: relu expects 1 operand, found 2"),
        ("%x = relu %x : f32[2]", "graph:2:2: %x is defined a second time"),
        ("%0 = constant [1.0] : f32[2]", "graph:2:16: a constant of type f32[2] needs 2 elements, found 1"),
        ("%0 = relu %x : g32[2]", "graph:2:17: unknown element type 'g32'"),
    ])
    func faultsAreNamedWithTheirPlace(line: String, message: String) {
        let text = "graph @g(%x: f32[2]) {\n \(line)\n return %x\n}\n"
        let error = #expect(throws: ParseError.self) { try Graph(parsing: text) }
        #expect(error?.description.hasPrefix(message) == true, "\(error?.description ?? "")")
    }

    @Test func textBehindTheEndIsRefused() {
        #expect(throws: ParseError.self) { try Graph(parsing: "graph @g(%x: f32[2]) { return %x } x") }
        #expect(throws: ParseError.self) { try Graph(parsing: "graph @g(%x: f32[2]) { return %x") }
        #expect(throws: ParseError.self) { try Graph(parsing: "") }
    }
}

@Suite struct VerifierTests {
    @Test func deploymentForbidsParametersAndTraining() throws {
        var g = GraphBuilder(name: "g")
        let x = g.input("x", .f32(2, 3, 4, 4))
        let w = g.parameter("w", .f32(3, 3, 1, 1))
        let y = try g.append(Conv2D(), x, w)
        let training = g.finish(outputs: [y])
        try training.verify(.training)
        let error = #expect(throws: VerificationError.self) { try training.verify(.deployable) }
        #expect(error?.description.contains("parameter \"w\"") == true)
    }

    @Test func changedTypesAreFound() throws {
        var g = GraphBuilder(name: "g")
        let x = g.input("x", .f32(2, 3))
        let y = try g.append(Relu(), x, name: "act")
        var graph = g.finish(outputs: [y])
        graph.setType(of: y, to: .f32(3, 2))
        let error = #expect(throws: VerificationError.self) { try graph.verify() }
        #expect(error?.description.contains("relu \"act\"") == true)
    }

    @Test func shapeErrorsNameTheOperatorAndTheCause() throws {
        var g = GraphBuilder(name: "g")
        let x = g.input("x", .f32(1, 32, 8, 8)), w = g.input("w", .f32(16, 64, 3, 3))
        let error = #expect(throws: ShapeError.self) { try g.append(Conv2D(kernel: 3), x, w, name: "stage2.conv") }
        #expect(
            error?.description
                == "\"stage2.conv\": conv2d: the filter f32[16,64,3,3] expects 64 input channels, but f32[1,32,8,8] has 32 (groups = 1)"
        )
    }

    @Test func parametersOfOneNameAreOne() throws {
        var g = GraphBuilder(name: "g")
        let (a, b) = g.scoped("layer") { g in (g.parameter("w", .f32(2)), g.parameter("w", .f32(2))) }
        #expect(a == b)
        let sum = try g.append(Add(), a, b)
        #expect(g.finish(outputs: [sum]).parameters.map(\.name) == ["layer.w"])
    }

    @Test func prunedGraphsKeepWhatIsRead() throws {
        var g = GraphBuilder(name: "g")
        let x = g.input("x", .f32(2))
        _ = try g.append(Exp(), g.parameter("unused", .f32(2)))
        let y = try g.append(Relu(), x)
        let pruned = g.finish(outputs: [y]).pruned()
        #expect(pruned.nodes.map(\.op.mnemonic) == ["relu"])
        #expect(pruned.parameters.isEmpty)
    }
}

@Suite struct LiteralTests {
    @Test(arguments: ElementType.allCases)
    func smallIntegersSurviveEveryType(element: ElementType) {
        let values: [Int64] = element == .bool ? [0, 1, 1] : [0, 1, 100]
        let literal = Literal(element, [3], integers: values)
        #expect(literal.integers == values)
        #expect(literal.bytes.count == 3 * element.size)
    }

    @Test func halvesRoundToNearestEven() {
        #expect(Float(1).halfBits == 0x3c00)
        #expect(Float(65504).halfBits == 0x7bff)
        #expect(Float(65520).halfBits == 0x7c00)
        #expect(Float(0x1p-24).halfBits == 1)
        #expect(Float(0x1p-25).halfBits == 0)
        #expect(Float(1 + 0x1p-11).halfBits == 0x3c00)
        #expect(Float(1 + 0x3p-11).halfBits == 0x3c02)
        for bits in stride(from: UInt16(0), to: 0x7c01, by: 1) { #expect(Float(halfBits: bits).halfBits == bits) }
        #expect(Float(bfloatBits: Float(3.14159).bfloatBits) == 3.140625)
    }

    @Test func integersWrapAndRealsSaturate() {
        #expect(ElementType.i8.wrap(200) == -56)
        #expect(ElementType.u8.wrap(-1) == 255)
        #expect(Int64(saturating: .infinity) == .max)
        #expect(Int64(saturating: .nan) == 0)
        #expect(Int64(saturating: -1.9) == -1)
    }
}
