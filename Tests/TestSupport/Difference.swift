public import IR

/// How far two tensors are apart: the largest absolute difference over the largest magnitude (at least 1).
///
/// Not-a-number equals itself, infinities equal themselves. Infinite when shapes or types differ.
public func difference(_ a: Literal, _ b: Literal) -> Double {
    guard a.type == b.type else { return .infinity }
    let (x, y) = (a.reals, b.reals)
    let scale = max(1, y.reduce(0) { $1.isFinite ? max($0, abs($1)) : $0 })
    var largest = 0.0
    for (p, q) in zip(x, y) where p != q && !(p.isNaN && q.isNaN) {
        let d = abs(p - q) / scale
        largest = max(largest, d.isNaN ? .infinity : d)
    }
    return largest
}
