/// Predicts a latency from features of an architecture: a line fitted to measured candidates.
///
/// - Source: ridge regression, Hoerl and Kennard, Technometrics 12, 1970.
public struct LatencyModel: Hashable, Sendable, Codable {
    /// Milliseconds for a unit of each feature.
    public var weights: [Double]
    public var intercept: Double

    /// What happens to the constant term of the fit.
    public enum Intercept: String, Hashable, Sendable, Codable {
        /// It is free: shifting all latencies shifts the predictions alike.
        case free
        /// It is drawn to zero as the weights are.
        case regularised
        /// There is none.
        case none
    }

    /// Minimises `Σ (w·xᵢ + c - yᵢ)² + ridge·|w|²` in closed form.
    ///
    /// - Shapes: `features: [n][d]`, `latencies: [n]`.
    /// - Throws: ``LatencyModelError`` for no or uneven data, values that are not finite, or dependent features without
    ///   a ridge.
    public init(
        features: [[Double]], latencies: [Double], ridge: Double = 1e-3, intercept kind: Intercept = .free
    ) throws(LatencyModelError) {
        guard let width = features.first?.count, features.count == latencies.count else {
            throw LatencyModelError(
                "latency model: expected as many latencies as rows of features, at least one; "
                    + "found \(latencies.count) and \(features.count)")
        }
        guard features.allSatisfy({ $0.count == width && $0.allSatisfy(\.isFinite) }), latencies.allSatisfy(\.isFinite),
            ridge >= 0
        else {
            throw LatencyModelError(
                "latency model: expected \(width) finite features in each row, "
                    + "finite latencies and a ridge of at least 0"
            )
        }
        let rows = kind == .regularised ? features.map { $0 + [1] } : features
        let columns = rows[0].count
        let count = Double(rows.count)
        var means = [Double](repeating: 0, count: columns)
        var meanLatency = 0.0
        if kind == .free {
            // Centred data make the free intercept drop out of the normal equations.
            for row in rows { for column in 0..<columns { means[column] += row[column] / count } }
            meanLatency = latencies.reduce(0, +) / count
        }
        var gram = [Double](repeating: 0, count: columns * columns)
        var moments = [Double](repeating: 0, count: columns)
        for (row, latency) in zip(rows, latencies) {
            let centred = zip(row, means).map { $0 - $1 }
            for i in 0..<columns where centred[i] != 0 {
                moments[i] += centred[i] * (latency - meanLatency)
                for j in 0...i { gram[i * columns + j] += centred[i] * centred[j] }
            }
        }
        for i in 0..<columns { gram[i * columns + i] += ridge }
        let solution = try LatencyModel.solve(gram, moments)
        weights = Array(solution.prefix(width))
        switch kind {
        case .free: intercept = meanLatency - zip(solution, means).reduce(0) { $0 + $1.0 * $1.1 }
        case .regularised: intercept = solution[width]
        case .none: intercept = 0
        }
    }

    /// The predicted latency in milliseconds.
    public func predict(_ features: [Double]) -> Double {
        precondition(features.count == weights.count, "the model was fitted to another number of features")
        return zip(weights, features).reduce(intercept) { $0 + $1.0 * $1.1 }
    }

    /// How well the model predicts measured latencies.
    public struct ModelError: Hashable, Sendable, Codable {
        /// In milliseconds.
        public var meanAbsolute: Double
        /// As a share of each latency, averaged; latencies of zero are left out.
        public var meanRelative: Double
        /// Rank correlation of predictions and latencies.
        public var kendallTau: Double
        public var count: Int
    }

    /// The error on data, which should be other data than the model was fitted to.
    public func error(features: [[Double]], latencies: [Double]) -> ModelError {
        precondition(features.count == latencies.count, "each row of features has its latency")
        return LatencyModel.error(predicted: features.map(predict), measured: latencies)
    }

    /// The error on held-out data: each candidate is predicted by a model fitted to the other folds.
    ///
    /// - Throws: ``LatencyModelError`` for fewer candidates than folds, and where a fit fails.
    public static func crossValidate(
        features: [[Double]], latencies: [Double], folds: Int, ridge: Double = 1e-3, intercept: Intercept = .free,
        using generator: inout some RandomNumberGenerator
    ) throws(LatencyModelError) -> ModelError {
        guard folds >= 2, features.count >= folds, features.count == latencies.count else {
            throw LatencyModelError(
                "latency model: expected at least 2 folds and as many candidates, "
                    + "found \(folds) folds and \(features.count) candidates")
        }
        let order = Array(features.indices).shuffled(using: &generator)
        var predicted = [Double](repeating: 0, count: features.count)
        for fold in 0..<folds {
            let rest = order.enumerated().filter { $0.offset % folds != fold }.map(\.element)
            let model = try LatencyModel(
                features: rest.map { features[$0] }, latencies: rest.map { latencies[$0] }, ridge: ridge,
                intercept: intercept)
            for (position, index) in order.enumerated() where position % folds == fold {
                predicted[index] = model.predict(features[index])
            }
        }
        return error(predicted: predicted, measured: latencies)
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
    private static func solve(_ matrix: [Double], _ right: [Double]) throws(LatencyModelError) -> [Double] {
        let n = right.count
        var l = matrix
        for i in 0..<n {
            for j in 0...i {
                var sum = matrix[i * n + j]
                for k in 0..<j { sum -= l[i * n + k] * l[j * n + k] }
                if i == j {
                    guard sum > 1e-13 * max(matrix[i * n + i], .leastNormalMagnitude) else {
                        throw LatencyModelError(
                            "latency model: the features depend on one another; use a ridge above 0")
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

/// Data that no latency model can be fitted to.
public struct LatencyModelError: Error, Hashable, Sendable, CustomStringConvertible {
    public var message: String

    init(_ message: String) { self.message = message }

    public var description: String { message }
}
