/// The `model` of tokenizer.json: how a piece of text becomes ids. One case and one file per kind.
enum TokenizerModel: Sendable {
    case bytePairEncoding(BytePairEncoding)

    /// Refuses the kinds that exist but are not implemented, by name.
    static func check(_ fields: JSONFields, _ preTokenizer: PreTokenizer) throws(TokenizationError) {
        let supported = "byte-level BPE (GPT-2, Llama 3, Qwen, SmolLM and their kin)"
        // Files from before 2020 leave the type of BPE models away.
        let type = fields.present("type") == nil && fields.present("merges") != nil ? "BPE" : try fields.string("type")
        guard type == "BPE" else {
            throw .unsupported(place: fields.place, found: "a tokenizer of the type \(type)", supported: supported)
        }
        if try fields.bool("byte_fallback", default: false) {
            throw .unsupported(
                place: fields.place, found: "SentencePiece-style BPE with byte fallback", supported: supported)
        }
        guard preTokenizer.isByteLevel else {
            throw .unsupported(
                place: fields.place, found: "BPE without a ByteLevel pre-tokeniser", supported: supported)
        }
        for key in ["continuing_subword_prefix", "end_of_word_suffix"] {
            if let value = fields.present(key), value != .string("") {
                throw .unsupported(place: fields.place, found: "BPE with a \(key)", supported: supported)
            }
        }
        if let dropout = fields.present("dropout"), dropout.doubleValue != 0 {
            throw .unsupported(place: fields.place, found: "BPE with dropout", supported: supported)
        }
    }
}
