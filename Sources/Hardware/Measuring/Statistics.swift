/// Order statistics of measured values.
public enum Statistics {
    /// The middle value, or the mean of the two middle ones.
    public static func median(_ values: [Double]) -> Double {
        precondition(!values.isEmpty, "no values have no median")
        let sorted = values.sorted()
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }

    /// The smallest value that at least the share of all values do not exceed (nearest rank).
    public static func quantile(_ share: Double, of values: [Double]) -> Double {
        precondition(!values.isEmpty, "no values have no quantile")
        precondition((0...1).contains(share), "a share lies between 0 and 1")
        let sorted = values.sorted()
        let rank = Int((share * Double(sorted.count)).rounded(.up))
        return sorted[min(max(rank, 1), sorted.count) - 1]
    }

    /// The median distance from the median: a spread that a few outliers do not move.
    public static func medianDeviation(_ values: [Double]) -> Double {
        let center = median(values)
        return median(values.map { abs($0 - center) })
    }
}
