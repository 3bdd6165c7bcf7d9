public import IR

extension Pipeline {
    /// From a graph with trained parameters, or one read from a file, to a graph that can be written as C.
    ///
    /// - Parameter parameters: the values of the graph's parameters.
    public static func deployment(parameters: [String: Literal] = [:]) -> Pipeline {
        Pipeline(
            [
                bindParameters(to: parameters), removeDeadCode, foldConstants, removeIdentities, mergeDuplicates,
                widenHalf,
                foldBatchNorm, recogniseActivations, recogniseMeans, fuseEpilogues, narrowRows, legaliseForC,
                foldConstants,
                removeIdentities,
                mergeDuplicates, removeDeadCode,
                orderForMemory,
            ], stage: .deployable)
    }
}
