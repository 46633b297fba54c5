import TensorCore

/// Keys and values of the tokens that a generation has seen, for one sequence.
public final class KeyValueCache {
    /// Tokens stored so far, the same in every layer between steps.
    public private(set) var count = 0
    /// Tokens that fit.
    public let capacity: Int
    private var keys: [Tensor?] = []
    private var values: [Tensor?] = []

    /// An empty cache for up to `capacity` tokens.
    public init(capacity: Int) { self.capacity = capacity }

    /// Appends the rows of the newest tokens to a layer's cache and returns the whole of it; rows beyond
    /// `count + key.rows` are not set.
    func extend(layer: Int, key: Tensor, value: Tensor, on compute: Compute) -> (keys: Tensor, values: Tensor) {
        precondition(count + key.rows <= capacity, "the cache holds \(capacity) tokens, \(count + key.rows) are needed")
        let at = count
        func append(_ rows: Tensor, to store: inout [Tensor?]) -> Tensor {
            while store.count <= layer { store.append(nil) }
            var tensor = store[layer].take() ?? compute.empty([capacity, rows.columns])
            let source = compute.converted(rows, to: .float32)
            tensor.withUniqueFloats {
                guard let start = $0.baseAddress else { return }
                (start + at * source.columns).update(from: source.floats, count: source.count)
            }
            store[layer] = tensor
            return tensor
        }
        return (append(key, to: &keys), append(value, to: &values))
    }

    /// Marks `tokens` more tokens as stored in every layer.
    package func advance(by tokens: Int) { count += tokens }
}
