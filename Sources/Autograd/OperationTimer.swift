/// Where the time of a step goes, by operation. Operations run one after another, so that the time since the last lap
/// belongs to the operation that has just ended.
public final class OperationTimer {
    /// Seconds by name of operation.
    public private(set) var seconds: [String: Double] = [:]
    private var last = ContinuousClock.now

    /// Starts the clock.
    public init() {}

    /// Ends an operation.
    public func lap(_ name: String) {
        let now = ContinuousClock.now
        seconds[name, default: 0] += (now - last) / .seconds(1)
        last = now
    }

    /// Starts the clock anew without counting what has passed.
    public func skip() { last = ContinuousClock.now }
}
