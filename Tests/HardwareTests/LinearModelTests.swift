import Foundation
import Hardware
import IR
import Testing

@Suite struct LinearModelTests {
    private func data(_ count: Int, width: Int, noise: Double, seed: UInt64) -> ([[Double]], [Double]) {
        var random = RandomSource(seed: seed)
        var features: [[Double]] = []
        var values: [Double] = []
        for _ in 0..<count {
            let row = (0..<width).map { _ in Double.random(in: 0...1, using: &random) }
            features.append(row)
            let exact = row.enumerated().reduce(5.0) { $0 + Double($1.offset + 1) * $1.element }
            values.append(exact + noise * Double.random(in: -1...1, using: &random))
        }
        return (features, values)
    }

    @Test func recoversALine() throws {
        let (features, values) = data(40, width: 4, noise: 0, seed: 1)
        let model = try LinearModel(features: features, values: values, ridge: 0)
        for (index, weight) in model.weights.enumerated() { #expect(abs(weight - Double(index + 1)) < 1e-10) }
        #expect(abs(model.intercept - 5) < 1e-10)
        let error = model.error(features: features, values: values)
        #expect(error.meanAbsolute < 1e-10)
        #expect(error.kendallTau == 1)
        #expect(error.count == 40)
    }

    /// The minimum is where the gradient vanishes, whatever the intercept's rule.
    @Test(arguments: [LinearModel.Intercept.free, .regularised, .none], [0.0, 0.1, 10])
    func solvesTheNormalEquations(kind: LinearModel.Intercept, ridge: Double) throws {
        let (features, values) = data(30, width: 3, noise: 1, seed: 2)
        let model = try LinearModel(features: features, values: values, ridge: ridge, intercept: kind)
        let residuals = zip(features, values).map { model.predict($0) - $1 }
        for index in 0..<3 {
            let slope = zip(features, residuals).reduce(ridge * model.weights[index]) { $0 + $1.0[index] * $1.1 }
            #expect(abs(slope) < 1e-9)
        }
        let constant = residuals.reduce(0, +)
        switch kind {
        case .free: #expect(abs(constant) < 1e-9)
        case .regularised: #expect(abs(constant + ridge * model.intercept) < 1e-9)
        case .none: #expect(model.intercept == 0)
        }
    }

    /// One feature, one equation: w = Σxy / (Σx² + ridge).
    @Test func aCaseByHand() throws {
        let model = try LinearModel(features: [[1], [2]], values: [2, 5], ridge: 1, intercept: .none)
        #expect(abs(model.weights[0] - 12.0 / 6.0) < 1e-14)
        let centred = try LinearModel(features: [[1], [2]], values: [2, 5], ridge: 0.5)
        #expect(abs(centred.weights[0] - 1.5) < 1e-14)
        #expect(abs(centred.intercept - 1.25) < 1e-14)
    }

    /// One-hot choices always sum to one: only a ridge makes their weights unique.
    @Test func dependentFeaturesNeedARidge() throws {
        let features: [[Double]] = [[1, 0], [0, 1], [1, 0], [0, 1]]
        #expect(throws: LinearModelError.self) {
            try LinearModel(features: features, values: [1, 2, 1, 2], ridge: 0)
        }
        let model = try LinearModel(features: features, values: [1, 2, 1, 2], ridge: 1e-6)
        #expect(abs(model.predict([0, 1]) - 2) < 1e-5)
    }

    @Test func heldOutErrorIsNoiseNotMemory() throws {
        let (features, values) = data(125, width: 6, noise: 0.3, seed: 3)
        var random = RandomSource(seed: 4)
        let error = try LinearModel.crossValidate(features: features, values: values, folds: 5, using: &random)
        // Uniform noise of ±0.3 has a mean size of 0.15.
        #expect((0.12...0.2).contains(error.meanAbsolute))
        #expect(error.kendallTau > 0.8)
        #expect(error.meanRelative < 0.03)
        // More features than candidates fit any noise; held-out data show it.
        let (wild, unrelated) = data(20, width: 40, noise: 50, seed: 5)
        let fitted = try LinearModel(features: wild, values: unrelated, ridge: 1e-6)
        #expect(fitted.error(features: wild, values: unrelated).meanAbsolute < 0.01)
        let honest = try LinearModel.crossValidate(
            features: wild, values: unrelated, folds: 4, ridge: 1e-6, using: &random)
        #expect(honest.meanAbsolute > 5)
    }

    @Test func theSplitFollowsTheGenerator() throws {
        let (features, values) = data(23, width: 3, noise: 1, seed: 6)
        func error(_ seed: UInt64) throws -> LinearModel.ModelError {
            var random = RandomSource(seed: seed)
            return try LinearModel.crossValidate(features: features, values: values, folds: 4, using: &random)
        }
        #expect(try error(1) == error(1))
        #expect(try error(1) != error(2))
    }

    @Test func modelsAreStored() throws {
        let (features, values) = data(10, width: 2, noise: 1, seed: 7)
        let model = try LinearModel(features: features, values: values)
        #expect(try JSONDecoder().decode(LinearModel.self, from: JSONEncoder().encode(model)) == model)
    }

    @Test func badDataAreRefused() {
        #expect(throws: LinearModelError.self) { try LinearModel(features: [], values: []) }
        #expect(throws: LinearModelError.self) { try LinearModel(features: [[1]], values: [1, 2]) }
        #expect(throws: LinearModelError.self) { try LinearModel(features: [[1], [1, 2]], values: [1, 2]) }
        #expect(throws: LinearModelError.self) { try LinearModel(features: [[.nan]], values: [1]) }
        #expect(throws: LinearModelError.self) { try LinearModel(features: [[1]], values: [1], ridge: -1) }
        var random = RandomSource(seed: 8)
        #expect(throws: LinearModelError.self) {
            try LinearModel.crossValidate(features: [[1]], values: [1], folds: 2, using: &random)
        }
    }

    @Test func kendallTau() {
        #expect(KendallTau.b([1, 2, 3], [10, 20, 30]) == 1)
        #expect(KendallTau.b([1, 2, 3], [3, 2, 1]) == -1)
        #expect(abs(KendallTau.b([1, 2, 3, 4], [1, 3, 2, 4]) - 2.0 / 3) < 1e-15)
        #expect(KendallTau.b([1, 1, 1], [1, 2, 3]) == 0)
        // Ties: 4 concordant of 5 and 5 untied pairs.
        #expect(abs(KendallTau.b([1, 1, 2, 3], [1, 2, 2, 3]) - 4.0 / 5) < 1e-15)
    }
}
