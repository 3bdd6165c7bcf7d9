import IR
import Passes
import TestSupport
import Testing

@Suite struct GoldenTests {
    @Test(arguments: GoldenCase.all(of: "choose-layout")) func choosesLayout(golden: GoldenCase) throws {
        try golden.check { try $0.applying(chooseLayout()) }
    }

    @Test(arguments: GoldenCase.all(of: "order-for-memory")) func ordersForMemory(golden: GoldenCase) throws {
        try golden.check { try $0.applying(orderForMemory) }
    }

    @Test func everyFolderIsTested() throws {
        for pass in ["choose-layout", "order-for-memory"] { #expect(!GoldenCase.all(of: pass).isEmpty, "\(pass)") }
    }
}
