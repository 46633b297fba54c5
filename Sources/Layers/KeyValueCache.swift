import TensorCore

/// Keys and values of the tokens that a generation has seen, for one sequence. It grows as they come.
public final class KeyValueCache {
    /// Tokens stored so far, the same in every layer between steps.
    public private(set) var count = 0
    private var keys: [Tensor?] = []
    private var values: [Tensor?] = []

    /// An empty cache.
    public init() {}

    /// Appends the rows of the newest tokens to a layer's cache and returns the whole of it; rows beyond
    /// `count + key.rows` are not set.
    func extend(layer: Int, key: Tensor, value: Tensor, on compute: Compute) -> (keys: Tensor, values: Tensor) {
        (append(key, layer, to: &keys, on: compute), append(value, layer, to: &values, on: compute))
    }

    private func append(_ rows: Tensor, _ layer: Int, to store: inout [Tensor?], on compute: Compute) -> Tensor {
        while store.count <= layer { store.append(nil) }
        let needed = count + rows.rows
        // Taken out of the store: a tensor that is held twice would be copied for every token.
        var tensor = store[layer].take() ?? room(for: needed, columns: rows.columns, on: compute)
        if tensor.rows < needed {
            var larger = room(for: needed, columns: rows.columns, on: compute)
            copy(tensor, rows: count, to: &larger, at: 0)
            tensor = larger
        }
        copy(compute.converted(rows, to: .float32), rows: rows.rows, to: &tensor, at: count)
        store[layer] = tensor
        return tensor
    }

    /// A tensor for so many rows and half as many again, so that few of them are copied more than once.
    private func room(for rows: Int, columns: Int, on compute: Compute) -> Tensor {
        compute.empty([rows + max(64, rows / 2), columns])
    }

    private func copy(_ source: Tensor, rows: Int, to target: inout Tensor, at row: Int) {
        target.withUniqueFloats {
            guard let start = $0.baseAddress else { return }
            (start + row * source.columns).update(from: source.floats, count: rows * source.columns)
        }
    }

    /// Marks `tokens` more tokens as stored in every layer.
    package func advance(by tokens: Int) { count += tokens }
}
