/// How a base model is packed into 4 bits (NF4, block 64).
public struct Packing: Sendable, Hashable, Codable {
    /// Whether the scales of the blocks are packed too, to 8 bits.
    public var doubleQuantization = true
    /// Whether embedding and head are packed like the linear layers; else they are 16 bits wide.
    public var embeddings = false

    /// The defaults.
    public init(doubleQuantization: Bool = true, embeddings: Bool = false) {
        (self.doubleQuantization, self.embeddings) = (doubleQuantization, embeddings)
    }

    /// The packing that an adapter's file says it was trained over; `nil` if it says none.
    public init?(metadata: [String: String]) {
        guard metadata["martlet.quantization"] == "nf4" else { return nil }
        doubleQuantization = metadata["martlet.double_quantization"] == "true"
        embeddings = metadata["martlet.quantize_embeddings"] == "true"
    }

    /// The same in the words of an adapter's file.
    public var metadata: [String: String] {
        [
            "martlet.quantization": "nf4", "martlet.double_quantization": String(doubleQuantization),
            "martlet.quantize_embeddings": String(embeddings),
        ]
    }
}
