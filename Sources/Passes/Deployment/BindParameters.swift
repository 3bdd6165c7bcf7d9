public import IR

/// Turns parameters into constants.
///
/// Runs first when a trained graph is deployed: every other pass here, and everything that is written, sees constants
/// alone. Without it a graph with parameters is not deployable.
///
///     %w = parameter "conv.filter" : f32[8,3,3,3]     →     %w = constant "conv.filter" 0x… : f32[8,3,3,3]
public func bindParameters(to values: [String: Literal]) -> Pass {
    Pass("bind-parameters") { graph throws(PassError) in
        try graph.rewritten { node, _, g throws(PassError) in
            guard let parameter = node.op as? Parameter else { return nil }
            let name = node.name ?? ""
            guard let value = values[name] else {
                throw PassError("no value was given for parameter \(AttributeValue.quote(name))")
            }
            guard value.type == parameter.type else {
                throw PassError(
                    "parameter \(AttributeValue.quote(name)) is \(parameter.type), but its value is \(value.type)")
            }
            return [g.constant(value, name: name)]
        }
    }
}
