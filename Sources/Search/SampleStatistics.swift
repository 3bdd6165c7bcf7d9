import RealModule

/// Statistics of samples, for reports and checks.
public enum SampleStatistics {
    public static func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(values.count) }

    /// The sample standard deviation (division by n - 1); zero for a single value.
    public static func deviation(_ values: [Double]) -> Double {
        guard values.count > 1 else { return 0 }
        let center = mean(values)
        return (values.reduce(0) { $0 + ($1 - center) * ($1 - center) } / Double(values.count - 1)).squareRoot()
    }

    public static func standardError(_ values: [Double]) -> Double {
        deviation(values) / Double(values.count).squareRoot()
    }

    /// The quantile `q` of `[0, 1]`, linear between order statistics.
    public static func quantile(_ values: [Double], _ q: Double) -> Double {
        precondition(!values.isEmpty && (0...1).contains(q), "a quantile needs values and 0 <= q <= 1")
        let sorted = values.sorted()
        let position = q * Double(sorted.count - 1)
        let low = Int(position)
        let high = min(low + 1, sorted.count - 1)
        return sorted[low] + (position - Double(low)) * (sorted[high] - sorted[low])
    }

    public static func median(_ values: [Double]) -> Double { quantile(values, 0.5) }

    /// Pearson's correlation; zero when either side is constant.
    public static func correlation(_ x: [Double], _ y: [Double]) -> Double {
        precondition(x.count == y.count, "a correlation needs pairs")
        let (centerX, centerY) = (mean(x), mean(y))
        var (xx, yy, xy) = (0.0, 0.0, 0.0)
        for (a, b) in zip(x, y) {
            xx += (a - centerX) * (a - centerX)
            yy += (b - centerY) * (b - centerY)
            xy += (a - centerX) * (b - centerY)
        }
        return xx > 0 && yy > 0 ? xy / (xx * yy).squareRoot() : 0
    }

    /// The cosine of the angle between two vectors.
    public static func cosine(_ x: [Double], _ y: [Double]) -> Double {
        func dot(_ x: [Double], _ y: [Double]) -> Double { zip(x, y).reduce(0) { $0 + $1.0 * $1.1 } }
        return dot(x, y) / (dot(x, x) * dot(y, y)).squareRoot()
    }

    /// The probability that a chi-square variable with the given degrees of freedom exceeds `statistic`.
    public static func chiSquareTail(_ statistic: Double, degreesOfFreedom: Int) -> Double {
        precondition(degreesOfFreedom > 0, "chi-square needs a degree of freedom")
        return upperGamma(Double(degreesOfFreedom) / 2, max(0, statistic) / 2)
    }

    /// The p-value of the hypothesis that counts come from the given probabilities (equal ones by default).
    public static func chiSquareTest(counts: [Int], probabilities: [Double]? = nil) -> Double {
        let total = Double(counts.reduce(0, +))
        let expected = probabilities ?? [Double](repeating: 1 / Double(counts.count), count: counts.count)
        let statistic = zip(counts, expected).reduce(0) { sum, pair in
            let mean = pair.1 * total
            return sum + (Double(pair.0) - mean) * (Double(pair.0) - mean) / mean
        }
        return chiSquareTail(statistic, degreesOfFreedom: counts.count - 1)
    }

    /// The regularised upper incomplete gamma function `Q(a, x)`.
    ///
    /// Below `a + 1` one minus the power series of `P`, above it Lentz' form of the continued fraction of `Q`.
    /// - Source: Abramowitz and Stegun, *Handbook of Mathematical Functions*, 6.5.29 and 6.5.31.
    private static func upperGamma(_ a: Double, _ x: Double) -> Double {
        guard x > 0 else { return 1 }
        let front = Double.exp(a * Double.log(x) - x - Double.logGamma(a))
        if x < a + 1 {
            var term = 1 / a
            var sum = term
            var n = a
            repeat {
                n += 1
                term *= x / n
                sum += term
            } while term > sum * 1e-16
            return 1 - front * sum
        }
        let tiny = 1e-300
        var b = x + 1 - a
        var c = 1 / tiny
        var d = 1 / b
        var fraction = d
        for i in 1...10_000 {
            let numerator = -Double(i) * (Double(i) - a)
            b += 2
            d = numerator * d + b
            if abs(d) < tiny { d = tiny }
            c = b + numerator / c
            if abs(c) < tiny { c = tiny }
            d = 1 / d
            let step = d * c
            fraction *= step
            if abs(step - 1) < 1e-15 { break }
        }
        return front * fraction
    }
}
