import Foundation

/// The `config.json` of a checkpoint that reads images too: the text model is described under `text_config`, and its
/// tensors begin with ``prefix``.
struct MultimodalConfiguration {
    /// Before the names of the text model's tensors.
    static let prefix = "language_model."

    /// `config.json` of the text model.
    let text: Data

    /// Nil for the configuration of a text model alone.
    init?(_ configuration: Data, place: String) throws(ModelError) {
        let object: [String: Any]
        do { object = try JSONSerialization.jsonObject(with: configuration) as? [String: Any] ?? [:] } catch {
            throw .configuration(place: place, reason: "not valid JSON; is the file complete?")
        }
        guard var text = object["text_config"] as? [String: Any] else { return nil }
        // Whether the head is tied may be said beside the parts.
        if text["tie_word_embeddings"] == nil { text["tie_word_embeddings"] = object["tie_word_embeddings"] }
        do { self.text = try JSONSerialization.data(withJSONObject: text) } catch {
            throw .configuration(place: place, reason: "the key text_config cannot be read")
        }
    }
}
