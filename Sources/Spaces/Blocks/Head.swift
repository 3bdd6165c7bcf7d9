import IR

extension BlockKind {
    /// Batch norm and an activation, as before the head of a network of pre-activation blocks.
    static let batchNorm = BlockKind("batch_norm", settings: [("activation", nil)], preservesShape: true) {
        x, settings, g throws(ShapeError) in
        try g.activation(g.batchNorm(x, name: "norm"), settings.activation)
    }

    /// The mean of every channel; images become vectors.
    static let globalAveragePool = BlockKind("global_average_pool") { x, _, g throws(ShapeError) in
        try g.globalAveragePool(x)
    }

    /// Dropout in training; nothing afterwards.
    static let dropout = BlockKind("dropout", settings: [("rate", nil)], preservesShape: true) {
        x, settings, g throws(ShapeError) in
        try g.dropout(x, rate: settings.real("rate"))
    }

    /// A fully connected layer with bias, to the space's number of classes.
    static let linear = BlockKind("linear") { x, _, g throws(ShapeError) in
        try g.linear(x, width: g.space.classes, name: "linear")
    }
}
