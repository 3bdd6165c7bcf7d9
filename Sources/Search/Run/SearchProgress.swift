/// How far a search is.
public struct SearchProgress: Sendable {
    /// The part of the run: `supernet training`, `evolution`…
    public var phase: String
    /// Units of the phase that are done, and of how many.
    public var done: Int
    public var total: Int
    /// What is known at this point, such as `loss 0.54, 3,100 images/s`.
    public var text: String
    /// What is left of the phase, in seconds, once there is something to judge by.
    public var remaining: Double?
}
