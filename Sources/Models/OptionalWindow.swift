/// A window that a configuration may have without using it: `use_sliding_window`, and from which layer on.
struct OptionalWindow: Decodable {
    var useSlidingWindow: Bool?
    var maxWindowLayers: Int?

    enum CodingKeys: String, CodingKey {
        case useSlidingWindow = "use_sliding_window"
        case maxWindowLayers = "max_window_layers"
    }

    /// The window of each layer: those that `layer_types` names, else those from `max_window_layers` on.
    func windows(_ c: DecoderConfiguration) throws(ConfigurationProblem) -> [Int?] {
        let sliding = try c.slidingLayers()
        return (0..<c.numHiddenLayers).map { layer in
            guard useSlidingWindow ?? false, sliding?[layer] ?? (layer >= maxWindowLayers ?? 0) else { return nil }
            return c.slidingWindow
        }
    }
}
