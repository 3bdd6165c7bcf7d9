import IR
import Operators

extension Specimen {
    /// Every specimen of every registered operator, with a name for messages.
    public static var registered: [(name: String, specimen: Specimen)] {
        Registry.all.flatMap { type in type.specimens.enumerated().map { ("\(type.mnemonic)#\($0)", $1) } }
    }

    /// Operands drawn from `random`; reals keep 0.05 away from the kinks. With `widens`, `f32` becomes `f64`.
    public func draw<R: Scalar>(_ random: inout RandomSource, as _: R.Type = R.self, widens: Bool = false)
        -> [ReferenceTensor<R>]
    {
        operands.map { operand in
            switch operand {
            case .literal(let literal): return ReferenceTensor(literal)
            case .integers(let type, let range):
                let values = (0..<type.count).map { _ in Int64(range.lowerBound + random.integer(below: range.count)) }
                return ReferenceTensor(type, integers: values)
            case .uniform(let type, let range):
                let values = (0..<type.count).map { _ in
                    var value: Double
                    repeat {
                        value = range.lowerBound + (range.upperBound - range.lowerBound) * random.uniform()
                    } while kinks.contains { abs(value - $0) < 0.05 }
                    return R(value)
                }
                let element = widens && type.element == .f32 ? .f64 : type.element
                return ReferenceTensor(type.with(element: element), values)
            }
        }
    }
}
