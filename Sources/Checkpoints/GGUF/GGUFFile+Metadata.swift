/// Typed access to the metadata. Each function throws an error that names file and key if the key is missing or its
/// value has another type; with a default, only if the value has another type.
extension GGUFFile {
    /// Whether the metadata have `key`.
    public func has(_ key: String) -> Bool { metadata[key] != nil }

    /// The text under `key`.
    public func string(_ key: String) throws(CheckpointError) -> String {
        try get(key, "a string", \.string)
    }

    /// The text under `key`, or `fallback` if there is none.
    public func string(_ key: String, default fallback: String) throws(CheckpointError) -> String {
        has(key) ? try string(key) : fallback
    }

    /// The integer under `key`, whatever its width.
    public func integer(_ key: String) throws(CheckpointError) -> Int {
        try get(key, "an integer", \.integer)
    }

    /// The integer under `key`, or `fallback` if there is none.
    public func integer(_ key: String, default fallback: Int) throws(CheckpointError) -> Int {
        has(key) ? try integer(key) : fallback
    }

    /// The number under `key`; integers are accepted.
    public func number(_ key: String) throws(CheckpointError) -> Double {
        try get(key, "a number", \.number)
    }

    /// The number under `key`, or `fallback` if there is none.
    public func number(_ key: String, default fallback: Double) throws(CheckpointError) -> Double {
        has(key) ? try number(key) : fallback
    }

    /// The truth value under `key`.
    public func bool(_ key: String) throws(CheckpointError) -> Bool {
        try get(key, "true or false", \.bool)
    }

    /// The truth value under `key`, or `fallback` if there is none.
    public func bool(_ key: String, default fallback: Bool) throws(CheckpointError) -> Bool {
        has(key) ? try bool(key) : fallback
    }

    /// The array of texts under `key`.
    public func stringArray(_ key: String) throws(CheckpointError) -> [String] {
        try get(key, "an array of string") { if case .array(.string(let values)) = $0 { values } else { nil } }
    }

    /// The array of integers under `key`, whatever their width.
    public func integerArray(_ key: String) throws(CheckpointError) -> [Int] {
        try get(key, "an array of integers") { $0.array?.integers }
    }

    /// The array of floating-point numbers under `key`; float64 is rounded.
    public func floatArray(_ key: String) throws(CheckpointError) -> [Float] {
        try get(key, "an array of float32") { $0.array?.floats }
    }

    private func get<Value>(
        _ key: String, _ expected: String, _ convert: (GGUFValue) -> Value?
    ) throws(CheckpointError) -> Value {
        guard let value = metadata[key] else { throw .gguf(path: path, .missingKey(key)) }
        guard let converted = convert(value) else {
            throw .gguf(path: path, .wrongType(key: key, expected: expected, found: value.typeName))
        }
        return converted
    }
}
