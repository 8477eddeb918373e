import { expect, test } from 'vitest'
import { checkSource } from './load.js'
import { formatProblem } from './problem.js'
import { readYaml } from './yaml-source.js'

const GOOD = `listen: 127.0.0.1:8080
services:
  users: { endpoints: [http://127.0.0.1:4001] }
  orders: { endpoints: [http://127.0.0.1:4002] }
policies:
  again: { timeout: 1s, retry: {} }
routes:
  page:
    match: { path: /pages/:id }
    policy: again
    aggregate:
      branches:
        user: { service: users, path: /users/:id }
        orders:
          service: orders
          path: /orders/$(user.body.key)
          when: request.query.full
      answer:
        body:
          name: $(user.body.name)
          list: '$(orders.body[].{id: id, by: $.user.body.id})'
`

/** What a person reads, without the name of the file. */
function problemsOf(text: string): string[] {
  const loaded = checkSource('f', readYaml(text, {}))
  return (loaded.ok ? loaded.warnings : loaded.problems).map((problem) => formatProblem(problem).slice(2))
}

const AT = 'routes.page.aggregate'

test.each<[name: string, from: string, to: string, expected: string[]]>([
  ['nothing is wrong', 'users', 'users', []],
  [
    'a service that does not exist',
    'user: { service: users',
    'user: { service: user',
    [
      '3:3: services.users: the service `users` is used by no route',
      `13:26: ${AT}.branches.user.service: unknown service \`user\`, did you mean \`users\`?`,
    ],
  ],
  [
    'a part of the path that does not exist',
    '/users/:id',
    '/users/:key',
    [`13:39: ${AT}.branches.user.path: \`:key\` is no part of the path that the route matches`],
  ],
  [
    'a branch that does not exist',
    '$(user.body.key)',
    '$(usr.body.key)',
    [`16:17: ${AT}.branches.orders.path: unknown branch \`usr\`, did you mean \`user\`?`],
  ],
  [
    'a member that branches do not have',
    'name: $(user.body.name)',
    'name: $(user.name)',
    [
      `20:17: ${AT}.answer.body.name: \`user\` has no \`name\`; it has ok, status, headers, body: write \`user.body.name\`?`,
    ],
  ],
  [
    'a member that requests do not have',
    'request.query.full',
    'request.querry.full',
    [
      `17:17: ${AT}.branches.orders.when: \`request\` has no \`querry\`; it has method, path, host, params, query, headers, body, identity`,
    ],
  ],
  [
    'a circle',
    'path: /users/:id',
    'path: /users/$(orders.body.user)',
    [`13:9: ${AT}.branches.user: waits for itself: user -> orders -> user`],
  ],
  [
    'a branch that waits for one that does not exist',
    'when: request.query.full',
    'after: [usr]',
    [`17:19: ${AT}.branches.orders.after[0]: unknown branch \`usr\`, did you mean \`user\`?`],
  ],
  [
    'an expression that is none',
    'name: $(user.body.name)',
    'name: $(user.body.)',
    [
      `20:17: ${AT}.answer.body.name: \`user.body.\` is not a JMESPath expression: Syntax error, unexpected token: (EOF)`,
    ],
  ],
  [
    'an expression that is not closed',
    'name: $(user.body.name)',
    'name: $(user.body.name',
    [
      `20:17: ${AT}.answer.body.name: \`$(user.body.name\`: the expression \`$(\` is not closed; write \`$$(\` for the text itself`,
    ],
  ],
  [
    'a function that does not exist',
    'name: $(user.body.name)',
    'name: $(size(user.body))',
    [`20:17: ${AT}.answer.body.name: there is no function \`size\``],
  ],
  [
    'an expression for everything',
    'name: $(user.body.name)',
    'name: $(@)',
    [
      `20:17: ${AT}.answer.body.name: reads everything there is; name what is needed, such as \`request.query\``,
    ],
  ],
  [
    'a name that JavaScript takes for itself',
    'name: $(user.body.name)',
    'name: $(user.body.constructor)',
    [`20:17: ${AT}.answer.body.name: \`constructor\` cannot be read: JavaScript takes the name for itself`],
  ],
  [
    'an element without a list',
    'when: request.query.full',
    'query: { a: $(item) }',
    [`17:23: ${AT}.branches.orders.query.a: unknown branch \`item\`; known are user`],
  ],
  [
    'a field that cannot be passed on',
    'when: request.query.full',
    'forward: [Cookie, Content-Length]',
    [`17:29: ${AT}.branches.orders.forward[1]: \`Content-Length\` cannot be passed on`],
  ],
  [
    'a branch with a name that means something else',
    'user: { service',
    'request: { service',
    [
      `13:9: ${AT}.branches.request: \`request\` cannot be the name of a branch: expressions read it, and \`request\`, \`item\`, \`index\`, \`response\` mean something else`,
      `16:17: ${AT}.branches.orders.path: unknown branch \`user\`; known are request`,
      `20:17: ${AT}.answer.body.name: unknown branch \`user\`; known are request, orders`,
      `21:17: ${AT}.answer.body.list: unknown branch \`user\`; known are request, orders`,
    ],
  ],
  [
    'two ways to make one body',
    '      answer:',
    '      merge: shallow\n      answer:',
    [`18:7: ${AT}.merge: contradicts \`answer.body\`, which shapes the whole`],
  ],
  [
    'a request that is repeated with harm',
    'user: { service: users',
    'user: { method: POST, service: users',
    [
      `13:25: ${AT}.branches.user.method: the policy \`again\` may make the whole call twice, and with it this POST`,
    ],
  ],
  [
    'two responders',
    '    aggregate:',
    '    to: users\n    aggregate:',
    ['12:5: routes.page.aggregate: contradicts `to`: one of both answers'],
  ],
])('%s', (_name, from, to, expected) => {
  expect(GOOD).toContain(from)
  expect(problemsOf(GOOD.replace(from, () => to))).toEqual(expected)
})
