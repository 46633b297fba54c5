import Checkpoints
import Foundation
import Tokenization

extension Recipe {
    /// The base model with the chat template that the recipe names, if it names one.
    /// - Throws: ``RecipeError`` if it is neither a built-in template nor a file that can be used.
    public func withChatTemplate(_ base: BaseModel) throws -> BaseModel {
        guard let name = model.chatTemplate else { return base }
        if let builtIn = ChatTemplate.builtIn(name) { return base.with(template: builtIn) }
        guard let data = try? RegularFile.contents(URL(fileURLWithPath: name)) else {
            let names = ChatTemplate.builtInNames
            throw RecipeError([
                problem(
                    with: "model.chat_template", "is \(name), which is neither a built-in template nor a file that can be read",
                    hint: nearest(to: name, in: names).map { "did you mean \($0)?" }
                        ?? "write the path of a Jinja file, or one of \(names.joined(separator: ", "))")
            ])
        }
        guard let text = String(validating: data, as: UTF8.self) else {
            throw RecipeError([problem(with: "model.chat_template", "cannot be used: \(name) is no UTF-8 text", hint: "save it as UTF-8")])
        }
        do { return base.with(template: try ChatTemplate(text)) } catch {
            throw RecipeError([problem(with: "model.chat_template", "cannot be used: \(name): \(error)")])
        }
    }
}
