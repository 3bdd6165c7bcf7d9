import IR
import Search
import Spaces
import Synchronization
import Testing

@Suite struct ConstraintTests {
    @Test func cheapConstraintsRejectBeforeExpensiveOnesAreAsked() throws {
        let asked = Mutex<[String]>([])
        func constraint(_ name: String, price: Int, limit: Double) -> Constraint {
            Constraint(name, atMost: limit, .count, price: price) { x in
                asked.withLock { $0.append(name) }
                return Double(x[0])
            }
        }
        let all = Constraints([
            constraint("latency", price: 100, limit: 1), constraint("macs", price: 1, limit: 2),
            constraint("flash", price: 1, limit: 3),
        ])
        #expect(all.all.map(\.name) == ["macs", "flash", "latency"])
        #expect(try all.verdict(Architecture(choices: [3])) == .breaks(0, cost: 3))
        #expect(asked.withLock { $0 } == ["macs"])
        #expect(try all.verdict(Architecture(choices: [2])) == .breaks(2, cost: 2))
        #expect(try all.verdict(Architecture(choices: [1])) == .legal([1, 1, 1]))
        #expect(
            try Constraints([Constraint("x", atMost: 1, .count, price: 0) { _ in .nan }]).allow(
                Architecture(choices: [0])) == false)
    }

    @Test func anImpossibleLimitIsAnsweredWithTheCheapestFigure() throws {
        // Costs with an interaction, as widths and blocks have: still monotone in each site.
        let cost: @Sendable (Architecture) -> Double = { x in
            (0..<6).reduce(1.5) { $0 + Double(3 - x[$1]) * Double(2 + x[6]) }
        }
        let constraint = Constraint("latency", atMost: 1.4, .milliseconds, price: 1, cost: cost)
        var random = RandomSource(seed: 1)
        let alphabet = [4, 4, 4, 4, 4, 4, 3]
        let error = #expect(throws: InfeasibleError.self) {
            try Constraints([constraint]).requireFeasible(alphabet: alphabet, space: "tiny", using: &random)
        }
        #expect(
            error?.description
                == "latency: no network of the space tiny is within 1.400 ms; the cheapest has 1.500 ms. "
                + "Raise the limit to at least that.")
        let possible = Constraint("latency", atMost: 1.5, .milliseconds, price: 1, cost: cost)
        let found = try Constraints([possible]).requireFeasible(alphabet: alphabet, space: "tiny", using: &random)
        #expect(cost(found) == 1.5)
    }

    @Test func limitsThatExcludeEachOtherAreFound() throws {
        let up = Constraint("flash", atMost: 5, .bytes, price: 1) { Double($0.choices.reduce(0, +)) }
        func down(_ limit: Double) -> Constraint {
            Constraint("latency", atMost: limit, .milliseconds, price: 2) { 12 - Double($0.choices.reduce(0, +)) }
        }
        let alphabet = [4, 4, 4, 4]
        var random = RandomSource(seed: 1)
        let found = try Constraints([up, down(7)]).requireFeasible(alphabet: alphabet, space: "s", using: &random)
        #expect(found.choices.reduce(0, +) == 5)
        let error = #expect(throws: InfeasibleError.self) {
            try Constraints([up, down(6)]).requireFeasible(alphabet: alphabet, space: "s", using: &random)
        }
        #expect(error?.figures.count == 2)
        #expect(
            error?.description.hasPrefix("no network of the space s was found that meets all limits at once") == true)
    }

    @Test(arguments: [
        (Constraint.Unit.milliseconds, 1.94, "1.940 ms"), (.milliseconds, 0.0421, "42.1 us"), (.bytes, 512, "512 B"),
        (.bytes, 262144, "256.0 KiB"), (.bytes, 3 * 1024 * 1024, "3.00 MiB"), (.macs, 30_120_000, "30.12 M"),
        (.count, 12, "12"), (.macs, 45_600, "45.6 k"),
    ])
    func costsAreReadable(unit: Constraint.Unit, value: Double, text: String) { #expect(unit.text(value) == text) }
}
