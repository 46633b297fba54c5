import Foundation
import Testing
import Tokenization

/// Templates that would run for ever, fill the memory or overflow the stack end with an error instead.
@Suite struct TemplateLimitTests {
    private static let many = 100_000

    private func times(_ text: String, _ count: Int = many) -> String { String(repeating: text, count: count) }

    /// Renders on a thread with the small stack that threads of a pool may have.
    private func outcome(_ source: String) -> Result<String, any Error> { measured(source).result }

    private func measured(_ source: String) -> Box {
        let box = Box()
        let thread = Thread {
            box.result = Result { try ChatTemplate(source).render(messages: []).text }
            var time = timespec()
            clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
            box.seconds = Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
            box.done.signal()
        }
        // A sanitizer makes frames several times as large.
        thread.stackSize = ProcessInfo.processInfo.environment["MARTLET_SANITIZER"] == nil ? 1 << 20 : 8 << 20
        thread.start()
        box.done.wait()
        return box
    }

    private final class Box: @unchecked Sendable {
        var result: Result<String, any Error> = .success("")
        /// Processor time, which does not depend on what else the machine does.
        var seconds = 0.0
        let done = DispatchSemaphore(value: 0)
    }

    private func isStopped(_ source: String) -> Bool {
        switch outcome(source) {
        case .failure(TemplateError.limit), .failure(TemplateError.syntax): true
        default: false
        }
    }

    @Test(arguments: [
        "{% macro m(x) %}{{ m(x) }}{% endmacro %}{{ m(1) }}",
        "{% macro m(x) %}{% if x %}{% for i in [1] %}{% if i %}{{ [((1 + (2 ~ (m(x) | upper))) | string)] | join }}"
            + "{% endif %}{% endfor %}{% endif %}{% endmacro %}{{ m(1) }}",
        "{% macro m() %}{% call m() %}{{ caller() }}{% endcall %}{% endmacro %}{% call m() %}x{% endcall %}",
        "{% macro m(x) %}{{ [x] | map('default') | map('string') | list }}{{ [1] | map('abs') | sort | first }}"
            + "{% set y %}{% filter upper %}{{ m([x]) }}{% endfilter %}{% endset %}{% endmacro %}{{ m(1) }}",
        "{% for x in [[1]] recursive %}{{ loop([[1]]) }}{% endfor %}",
        "{% set ns = namespace(x=[]) %}{% for i in range(100000) %}{% set ns.x = [ns.x] %}{% endfor %}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(100000) %}{% set ns.x = ns.x | map('string') %}{% endfor %}",
        "{% set ns = namespace(l=[1]) %}{% for i in range(100000) %}{% for y in [ns.l] %}{% set ns.l = loop %}"
            + "{% endfor %}{% endfor %}",
        "{% set ns = namespace(x=1) %}{% for i in range(10000) %}{% set ns.x = namespace(y=ns.x) %}{% endfor %}"
            + "{{ ns.x }}",
    ])
    func nestingIsBounded(source: String) { #expect(isStopped(source)) }

    @Test func nestingOfTheSourceIsBounded() {
        for (open, close) in [
            ("(", ")"), ("[", "]"), ("not ", ""), ("-", ""), ("{1:", "}"), ("x(", ")"), ("1 if 1 else ", ""),
        ] {
            #expect(isStopped("{{ " + times(open, 50_000) + "1" + times(close, 50_000) + " }}"), "\(open)")
        }
        for link in ["+1", ".a", "|e", "[0]", " and 1", "**1", " is string is string"] {
            #expect(isStopped("{{ 1" + times(link, 20_000) + " }}"), "\(link)")
        }
        #expect(isStopped(times("{% if 1 %}", 50_000)))
        #expect(isStopped("{% set " + times("(", 50_000) + "x" + times(")", 50_000) + " = 1 %}"))
        #expect(isStopped(times("x", 2_000_000)))
    }

    /// Just below the limits, all is well even on a small stack.
    @Test func allowedNestingIsRendered() throws {
        let lists = "{% set ns = namespace(x=1) %}{% for i in range(500) %}{% set ns.x = [ns.x] %}{% endfor %}"
        let uses = "{{ ns.x == ns.x }}{{ ns.x | tojson | length }}{{ ns.x | string | length }}{{ [ns.x] < [ns.x] }}"
        #expect(try outcome(lists + uses).get() == "True10011001False")
        let sum = "{{ 1" + times(" + 1", 200) + " }}"
        #expect(try outcome(sum).get() == "201")
        let blocks = times("{% if 1 %}", 55) + "x" + times("{% endif %}", 55)
        #expect(try outcome(blocks).get() == "x")
        let macro = "{% macro m(n) %}{% if n %}{{ n }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) | length }}"
        #expect(try outcome(macro).get() == "111")
    }

    @Test(arguments: [
        "{{ 'x' * 1000000000000 }}", "{{ [1] * 1000000000000 }}", "{{ 9223372036854775807 + 1 }}",
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
        "{% for a in range(100000) %}{{ 'x' * 10000 }}{% endfor %}",
        "{% set ns = namespace(x='xxxxxxxx') %}{% for a in range(100) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
        "{% set ns = namespace(x=[1]) %}{% for a in range(100) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "{% set ns = namespace(x=[1]) %}{% for a in range(100) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}",
        "{{ ('x' * 1000000) | replace('', 'y' * 1000000) }}", "{{ ('x' * 1000000) | replace('x', 'y' * 1000000) }}",
        "{{ range(100000) | join('x' * 1000000) }}", "{{ '%1000000000d' % 1 }}", "{{ '{:1000000000}'.format(1) }}",
        "{{ '%.1000000000f' % 1 }}", "{{ 'x'.center(10000000000) }}", "{{ ('\\n' * 1000000) | indent(1000) }}",
        "{{ range(1000) | list | tojson(indent='x' * 1000000) }}", "{{ [1] | batch(1000000000, 0) | list }}",
        "{{ [1] | slice(1000000000) | list }}", "{{ 2 ** 100000000 }}", "{{ 10.0 ** 400 }}", "{{ range(200000) }}",
        "{{ 1.5 | round(-9223372036854775807 - 1, 'ceil') }}", "{{ (-9223372036854775807 - 1) | round(-18) }}",
        "{{ range(0, 10, 2)[::9223372036854775807] }}",
        "{{ range(-9223372036854775807, 9223372036854775807) }}", "{{ (-9223372036854775807 - 1) | abs }}",
        "{% set s = 'a' * 1000000 %}{% for a in range(100000) %}{% if 'b' in s %}{% endif %}{% endfor %}",
        "{% for i in range(100000) %}{% for b in range(100000) %}{% break %}{% endfor %}{% endfor %}",
        "{% for i in range(100000) %}{% if 99999 in range(100000) %}{% endif %}{% endfor %}",
        "{% set s = 'a' * 1000000 %}{% for i in range(100000) %}{{ s[5] }}{% endfor %}",
    ])
    func workIsBounded(source: String) { #expect(isStopped(source)) }

    /// What a single step does is paid for by its size: each of these loops repeats something that looks cheap.
    @Test(arguments: [
        "{{ [#] | length }}", "{{ m(*range(99999)) }}", "{{ dict(d) | length }}", "{{ d[s] }}", "{{ '%.0s' % (l,) }}",
        "{{ s is upper }}", "{{ t[::1] | length }}",
    ])
    func aStepIsPaidByItsSize(body: String) {
        let setup = """
            {% macro m() %}{{ varargs }}{% endmacro %}{% set s = 'a' * 1000000 %}{% set l = [s, s, s] %}
            {% set d = dict(range(40000) | batch(2)) %}{% set t = (1,) * 200000 %}
            """
        let box = measured(
            setup + "{% for i in range(99999) %}{% for j in range(99999) %}"
                + body.replacingOccurrences(of: "#", with: times("1,", 2000)) + "{% endfor %}{% endfor %}")
        guard case .failure(TemplateError.limit) = box.result else {
            Issue.record("\(body): \(box.result)")
            return
        }
        #expect(box.seconds < 12)
    }

    /// Reading a template takes time in proportion to its length.
    @Test(arguments: ["{{ f(#) }}", "{{ f(@) }}", "{% macro m(@) %}{% endmacro %}", "{{ [#] }}", "!"])
    func longSourcesAreReadOrRefused(shape: String) {
        let named = (0..<60_000).map { "a\($0)=1" }.joined(separator: ",")
        let source = shape.replacingOccurrences(of: "#", with: times("a,", 200_000)).replacingOccurrences(of: "@", with: named)
            .replacingOccurrences(of: "!", with: times("{{ x|zz }}", 60_000) + times("{{ 1 if 1 else x|zz }}", 20_000))
        #expect(measured(source).seconds < 5)
    }

    /// The items of a loop whose length has to be counted first are not moved at every turn.
    @Test func aLoopWithAnUnknownLengthIsLinear() throws {
        let source = "{% for x in range(90000) | map('string') %}{% if loop.length == loop.index %}{{ x }}{{ loop.revindex }}"
            + "{% endif %}{% endfor %}"
        let box = measured(source)
        #expect(try box.result.get() == "899991")
        #expect(box.seconds < 5)
    }

    @Test(arguments: [
        ("{{ ('a' * 200000).find(('a' * 100000) ~ 'b') }}", "-1"),
        ("{{ ('Σ' ~ (':' * 100000)) | lower | length }}{{ ('Σ:' * 5000) | lower | length }}", "10000110000"),
        ("{{ (-9223372036854775807 - 1) % -1 }}", "0"), ("{{ [1,2,3][::9223372036854775807] }}", "[1]"),
        ("{{ [1,2,3][::-9223372036854775807 - 1] }}", "[3]"), ("{{ [1,2][-9223372036854775807 - 1:] }}", "[1, 2]"),
        ("{{ 'abc'.find('b', -9223372036854775807 - 1) }}", "1"), ("{{ 15 | round(-1000000000) }}", "0"),
        ("{{ range(0, 9, 3) == range(0, 8, 3) }}{{ range(3, 3) == range(0) }}", "TrueTrue"),
        ("{{ range(9223372036854775806, 9223372036854775807, 5) }}", "range(9223372036854775806, 9223372036854775807, 5)"),
        ("{{ range(0, 10, 3) }}{{ range(10)[1:8:3] }}", "range(0, 10, 3)range(1, 8, 3)"),
        ("{{ '-' | int }}{{ '' | int }}{{ '0x' | int(0, 16) }}", "000"),
    ])
    func extremesAreHandled(source: String, expected: String) throws {
        #expect(try outcome(source).get() == expected)
    }
}
