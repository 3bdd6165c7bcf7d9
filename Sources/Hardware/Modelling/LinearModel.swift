/// Predicts a value, a latency or a score, from features of an architecture: ridge regression on known ones.
///
/// - Source: Hoerl and Kennard, Technometrics 12, 1970.
public struct LinearModel: Hashable, Sendable, Codable {
    /// What a unit of each feature adds to the value.
    public var weights: [Double]
    public var intercept: Double

    /// What happens to the constant term of the fit.
    public enum Intercept: String, Hashable, Sendable, Codable {
        /// It is free: shifting all values shifts the predictions alike.
        case free
        /// It is drawn to zero as the weights are.
        case regularised
        /// There is none.
        case none
    }

    /// Minimises `Σ (w·xᵢ + c - yᵢ)² + ridge·|w|²` in closed form.
    ///
    /// - Shapes: `features: [n][d]`, `values: [n]`.
    /// - Throws: ``LinearModelError`` for no or uneven data, values that are not finite, or dependent features without
    ///   a ridge.
    public init(
        features: [[Double]], values: [Double], ridge: Double = 1e-3, intercept kind: Intercept = .free
    ) throws(LinearModelError) {
        guard let width = features.first?.count, features.count == values.count else {
            throw LinearModelError(
                "linear model: expected as many values as rows of features, at least one; "
                    + "found \(values.count) and \(features.count)")
        }
        guard features.allSatisfy({ $0.count == width && $0.allSatisfy(\.isFinite) }), values.allSatisfy(\.isFinite),
            ridge >= 0
        else {
            throw LinearModelError(
                "linear model: expected \(width) finite features in each row, "
                    + "finite values and a ridge of at least 0"
            )
        }
        let rows = kind == .regularised ? features.map { $0 + [1] } : features
        let columns = rows[0].count
        let count = Double(rows.count)
        var means = [Double](repeating: 0, count: columns)
        var meanValue = 0.0
        if kind == .free {
            // Centred data make the free intercept drop out of the normal equations.
            for row in rows { for column in 0..<columns { means[column] += row[column] / count } }
            meanValue = values.reduce(0, +) / count
        }
        var gram = [Double](repeating: 0, count: columns * columns)
        var moments = [Double](repeating: 0, count: columns)
        for (row, value) in zip(rows, values) {
            // Only what is not zero: of one-hot features that is little.
            var present: [(column: Int, value: Double)] = []
            for column in 0..<columns where row[column] != means[column] {
                present.append((column, row[column] - means[column]))
            }
            for (i, x) in present {
                moments[i] += x * (value - meanValue)
                for (j, y) in present where j <= i { gram[i * columns + j] += x * y }
            }
        }
        for i in 0..<columns { gram[i * columns + i] += ridge }
        let solution = try LinearModel.solve(gram, moments)
        weights = Array(solution.prefix(width))
        switch kind {
        case .free: intercept = meanValue - zip(solution, means).reduce(0) { $0 + $1.0 * $1.1 }
        case .regularised: intercept = solution[width]
        case .none: intercept = 0
        }
    }

    /// The predicted value.
    public func predict(_ features: [Double]) -> Double {
        precondition(features.count == weights.count, "the model was fitted to another number of features")
        return zip(weights, features).reduce(intercept) { $0 + $1.0 * $1.1 }
    }

    /// How well the model predicts known values.
    public struct ModelError: Hashable, Sendable, Codable {
        /// In the unit of the values.
        public var meanAbsolute: Double
        /// As a share of each value, averaged; values of zero are left out.
        public var meanRelative: Double
        /// Rank correlation of predictions and values.
        public var kendallTau: Double
        public var count: Int
    }

    /// The error on data, which should be other data than the model was fitted to.
    public func error(features: [[Double]], values: [Double]) -> ModelError {
        precondition(features.count == values.count, "each row of features has its value")
        return LinearModel.error(predicted: features.map(predict), measured: values)
    }

    /// The error on held-out data: each candidate is predicted by a model fitted to the other folds.
    ///
    /// - Throws: ``LinearModelError`` for fewer candidates than folds, and where a fit fails.
    public static func crossValidate(
        features: [[Double]], values: [Double], folds: Int, ridge: Double = 1e-3, intercept: Intercept = .free,
        using generator: inout some RandomNumberGenerator
    ) throws(LinearModelError) -> ModelError {
        guard folds >= 2, features.count >= folds, features.count == values.count else {
            throw LinearModelError(
                "linear model: expected at least 2 folds and as many candidates, "
                    + "found \(folds) folds and \(features.count) candidates")
        }
        let order = Array(features.indices).shuffled(using: &generator)
        var predicted = [Double](repeating: 0, count: features.count)
        for fold in 0..<folds {
            let rest = order.enumerated().filter { $0.offset % folds != fold }.map(\.element)
            let model = try LinearModel(
                features: rest.map { features[$0] }, values: rest.map { values[$0] }, ridge: ridge,
                intercept: intercept)
            for (position, index) in order.enumerated() where position % folds == fold {
                predicted[index] = model.predict(features[index])
            }
        }
        return error(predicted: predicted, measured: values)
    }

    private static func error(predicted: [Double], measured: [Double]) -> ModelError {
        let absolute = zip(predicted, measured).map { abs($0 - $1) }
        let relative = zip(absolute, measured).filter { $0.1 != 0 }.map { $0.0 / abs($0.1) }
        func mean(_ values: [Double]) -> Double { values.isEmpty ? 0 : values.reduce(0, +) / Double(values.count) }
        return ModelError(
            meanAbsolute: mean(absolute), meanRelative: mean(relative), kendallTau: KendallTau.b(predicted, measured),
            count: measured.count)
    }

    /// Solves `A x = b` for a symmetric positive definite `A`, given by its lower triangle, by Cholesky factors.
    private static func solve(_ matrix: [Double], _ right: [Double]) throws(LinearModelError) -> [Double] {
        let n = right.count
        var l = matrix
        for i in 0..<n {
            for j in 0...i {
                var sum = matrix[i * n + j]
                for k in 0..<j { sum -= l[i * n + k] * l[j * n + k] }
                if i == j {
                    guard sum > 1e-13 * max(matrix[i * n + i], .leastNormalMagnitude) else {
                        throw LinearModelError(
                            "linear model: the features depend on one another; use a ridge above 0")
                    }
                    l[i * n + i] = sum.squareRoot()
                } else {
                    l[i * n + j] = sum / l[j * n + j]
                }
            }
        }
        var x = right
        for i in 0..<n {
            for k in 0..<i { x[i] -= l[i * n + k] * x[k] }
            x[i] /= l[i * n + i]
        }
        for i in (0..<n).reversed() {
            for k in (i + 1)..<n { x[i] -= l[k * n + i] * x[k] }
            x[i] /= l[i * n + i]
        }
        return x
    }
}

/// Data that no linear model can be fitted to.
public struct LinearModelError: Error, Hashable, Sendable, CustomStringConvertible {
    public var message: String

    init(_ message: String) { self.message = message }

    public var description: String { message }
}
