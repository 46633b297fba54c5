import Foundation
import Testing
import Tokenization

/// What is refused, and in which words.
@Suite struct TemplateErrorTests {
    @Test(arguments: [
        ("a\n{{ x", 2), ("{% if x %}\n\na", 3), ("\n\n{% endif %}", 3), ("{{ a b }}", 1),
        ("{% for x in %}{% endfor %}", 1),
        ("{{ 'abc }}", 1), ("x\n{# never closed", 2), ("{% raw %}", 1), ("{{ ) }}", 1), ("{{ (1] }}", 1),
        ("\n{{ 1 | nofilter }}", 2), ("\n{{ 1 is notest }}", 2), ("{% include 'a' %}", 1), ("{% break %}", 1),
        ("{% nosuchtag %}", 1), ("{{ 99999999999999999999 }}", 1), ("{% set 1 = 2 %}", 1), ("{{ f(a=1, 2) }}", 1),
        ("{% macro m(a=1, b) %}{% endmacro %}", 1), ("{{ a ! b }}", 1), ("{{ '\\u12' }}", 1),
    ])
    func unreadableTemplatesNameTheLine(source: String, line: Int) {
        let error = #expect(throws: TemplateError.self) { try ChatTemplate(source) }
        guard case .syntax(line, _) = error else {
            Issue.record("\(source): \(String(describing: error))")
            return
        }
    }

    @Test(arguments: [
        ("\n{{ x.y }}", "x is undefined"), ("{% for m in messages %}\n{{ m.a.b }}{% endfor %}", "has no attribute a"),
        ("\n{{ 'a' + 1 }}", "+ cannot be applied to str and int"), ("\n{{ 1 < 'a' }}", "< cannot compare int with str"),
        ("\n{{ [].append(1) }}", "append"), ("\n{{ none | items | list }}", "items"), ("\n{{ 1() }}", "called"),
        ("\n{{ {}.update({}) }}", "update"), ("\n{{ messages | map('upper') }}", "| list"),
    ])
    func renderingErrorsNameTheLine(source: String, part: String) throws {
        let template = try ChatTemplate(source)
        let error = #expect(throws: TemplateError.self) {
            try template.render(messages: [Message(role: "user", content: "x")])
        }
        #expect(error?.line == 2)
        #expect(error?.description.contains(part) == true, "\(String(describing: error))")
    }

    @Test func aRefusalCarriesTheTemplatesWords() throws {
        let template = try ChatTemplate("{% if not tools %}\n{{ raise_exception('Tools – please!') }}{% endif %}")
        #expect(throws: TemplateError.refused(line: 2, message: "Tools – please!")) {
            try template.render(messages: [])
        }
        #expect(try template.render(messages: [], tools: .array([.null])).text == "")
    }

    @Test func messagesNeedARole() throws {
        #expect(throws: TemplateError.self) { try Message(["content": .string("x")]) }
        #expect(throws: TemplateError.self) { try Message(["role": .integer(1)]) }
        let message = try Message(["role": .string("tool"), "content": .null, "name": .string("f")])
        #expect(message.role == "tool")
        #expect(message.content == nil)
        #expect(message.json["name"] == .string("f"))
        #expect(Message(role: "user", content: "x").content == "x")
    }

    @Test func reasoningIsOfferedUnderBothNames() throws {
        let template = try ChatTemplate("{{ messages[0].reasoning_content }}/{{ messages[0].thinking }}")
        for name in ["reasoning", "thinking", "reasoning_content"] {
            let message = try Message(["role": .string("assistant"), name: .string("because")])
            #expect(try template.render(messages: [message]).text == "because/because")
        }
    }

    @Test func timesAreChecked() throws {
        for text in [
            "", "yesterday", "2024-13-01", "2023-02-29", "2024-01-01 24:00:00", "2024-01-01 1:2", "2024-1-1 x",
        ] {
            #expect(throws: TemplateError.self) { try TemplateClock(text) }
        }
        let template = try ChatTemplate("{{ strftime_now('%d %b %Y %H:%M:%S') }}")
        #expect(
            try template.render(messages: [], now: TemplateClock("2024-02-29T23:59:58")).text == "29 Feb 2024 23:59:58")
        #expect(try template.render(messages: [], now: TemplateClock("1999-12-31")).text == "31 Dec 1999 00:00:00")
        let year = Calendar(identifier: .gregorian).component(.year, from: Date())
        #expect(try ChatTemplate("{{ strftime_now('%Y') }}").render(messages: []).text == "\(year)")
    }

    /// Found by the fuzzer: an error inside a body with filters of its own, behind an unknown filter in the same `if`.
    @Test(arguments: [
        "{{ x | zz }}{% if 1 %}{% for i in y %}{{", "{{ x | zz }}{% if 1 %}{% macro m() %}{% endfor %}{% endif %}",
        "{% if x | zz %}{% elif 1 %}{% set a %}{{ 1 if 2 }}{% endif %}",
    ])
    func anErrorInsideABodyIsAnError(source: String) { #expect(throws: TemplateError.self) { try ChatTemplate(source) } }
}
