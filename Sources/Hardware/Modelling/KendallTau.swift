/// Rank correlation of two lists of values.
public enum KendallTau {
    /// Tau-b, which counts ties in neither list against it; 0 when a list is constant.
    ///
    /// - Complexity: O(n²), for lists of hundreds.
    /// - Source: Kendall, *The Treatment of Ties in Ranking Problems*, Biometrika 33, 1945.
    public static func b(_ x: [Double], _ y: [Double]) -> Double {
        precondition(x.count == y.count, "a rank correlation pairs two lists of equal length")
        var balance = 0
        var untiedX = 0
        var untiedY = 0
        for i in x.indices {
            for j in x.indices[..<i] {
                let signX = x[i] == x[j] ? 0 : x[i] > x[j] ? 1 : -1
                let signY = y[i] == y[j] ? 0 : y[i] > y[j] ? 1 : -1
                balance += signX * signY
                untiedX += signX == 0 ? 0 : 1
                untiedY += signY == 0 ? 0 : 1
            }
        }
        guard untiedX > 0, untiedY > 0 else { return 0 }
        return Double(balance) / (Double(untiedX) * Double(untiedY)).squareRoot()
    }
}
