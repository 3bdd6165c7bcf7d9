import Hardware
import Spaces

/// A latency model fitted to measured candidates, over features that are scaled to be alike.
struct LatencyEstimator: Codable, Sendable {
    /// A candidate and the median of its own compiled C.
    struct Measured: Codable, Hashable, Sendable {
        var architecture: Architecture
        var features: [Double]
        var latency: Double
    }

    private(set) var model: LinearModel
    private var scales: [Double]
    /// Error and rank correlation on candidates left out of the fit, each in its turn.
    private(set) var heldOut: RunRecord.ModelQuality
    /// The prediction for each measured candidate by the model fitted without it.
    private(set) var heldOutPredictions: [Double]
    /// The largest share by which a held-out candidate was slower than predicted.
    private(set) var worstUnderestimate: Double

    init(_ measured: [Measured]) throws {
        let rows = measured.map(\.features), latencies = measured.map(\.latency)
        let scales = (rows.first ?? []).indices.map { column in max(rows.map { abs($0[column]) }.max() ?? 0, 1) }
        let scaled = rows.map { zip($0, scales).map { $0 / $1 } }
        func fit(_ indices: [Int]) throws -> LinearModel {
            let mean = indices.reduce(0) { $0 + latencies[$1] } / Double(indices.count)
            // In units of the mean latency, so that the ridge means the same for fast and slow networks.
            let unit = try LinearModel(
                features: indices.map { scaled[$0] }, values: indices.map { latencies[$0] / mean }, ridge: 1e-3)
            var model = unit
            model.weights = unit.weights.map { $0 * mean }
            model.intercept = unit.intercept * mean
            return model
        }
        self.scales = scales
        model = try fit(Array(rows.indices))
        heldOutPredictions = try rows.indices.map { left in
            try fit(rows.indices.filter { $0 != left }).predict(scaled[left])
        }
        let relative = zip(heldOutPredictions, latencies).map { abs($0 - $1) / $1 }
        heldOut = RunRecord.ModelQuality(
            heldOutError: SampleStatistics.mean(relative), kendall: KendallTau.b(heldOutPredictions, latencies),
            measured: rows.count)
        worstUnderestimate = zip(heldOutPredictions, latencies).map { ($1 - $0) / $0 }.max() ?? 0
    }

    func predict(_ features: [Double]) -> Double { model.predict(zip(features, scales).map { $0 / $1 }) }
}
