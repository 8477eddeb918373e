import { describe, expect, it } from 'vitest'
import { checkStatement } from './check-statement.js'
import type { MergeOptions } from './merge-options.js'
import type { KnownTables } from './tables-of.js'

const KNOWN: KnownTables = {
  tables: { orders: { key: 'customer_id' }, lines: { key: 'customer_id' }, Accounts: { key: 'Owner' } },
  reference: ['countries'],
}

const check = (
  sql: string,
  merge?: MergeOptions | 'concat',
  { engine = 'sqlite', distinct = false }: { engine?: 'sqlite' | 'postgres'; distinct?: boolean } = {},
): string => checkStatement(sql, KNOWN, engine, { merge, distinct })

describe('a statement whose rows can be put together', () => {
  it.each([
    'select * from orders',
    "select * from orders where total > 10 and status is distinct from 'open' -- ; limit 5",
    'SELECT o.id FROM main.orders AS o JOIN countries c ON c.code = o.country',
    'select o.id, l.sku from orders o join lines l on l.customer_id = o.customer_id and l.order_id = o.id',
    'select * from orders o left join lines l on (l.order_id = o.id or true) and 1 = 1 and o.customer_id = l.customer_id',
    'select * from orders join lines using (customer_id, id)',
    'select * from orders o join lines l on o.customer_id = l.customer_id join lines m on m.customer_id = l.customer_id',
    'select * from countries c join orders o on o.country = c.code',
    'select * from orders o left join countries c on c.code = o.country',
    'select customer_id, count(*), avg(total) from orders group by customer_id having count(*) > 3',
    'select year, o.customer_id, max(total) from orders o group by year, o.customer_id',
    'select max(a, b) from orders',
    'select 1e5, 1.5e-3, .5, 0x1F, ?2, :name, @name, $name from orders where a between 1 and 2',
    'select * from orders o join lines l on o.at between l.since and l.until and o.customer_id = l.customer_id and true',
    'select "limit", [order], `union` from orders',
    "select 'select; from (' from orders",
    'select o.offset, o.limit from orders o',
    'select * from orders where total in (1, 2) and o.in = 3',
    'select * from ORDERS',
    'select * from accounts where owner = ?',
  ])('%s', (sql) => {
    expect(check(sql)).toBe(sql)
  })

  it('is sent without its semicolon', () => {
    expect(check('select * from orders ; ;')).toBe('select * from orders ')
  })

  it.each([
    "select $$limit 1$$, $x$'$x$, E'it\\'s' from orders where tags[1:2] = $1::text[]",
    'select total::numeric(10, 2) from only public.orders',
    "select position('a' in note) from orders",
    'select greatest(a, b) from orders where a is not distinct from b',
    'select * from "Accounts" where "Owner" = $1',
  ])('in PostgreSQL: %s', (sql) => {
    expect(check(sql, undefined, { engine: 'postgres' })).toBe(sql)
  })
})

describe('a statement with aggregates', () => {
  const byStatus = { groupBy: ['status'], sum: ['n'] }

  it.each<[string, MergeOptions]>([
    ['select status, count(*) as n from orders group by status', byStatus],
    ['select status, count(*) n from orders o group by o.status', byStatus],
    ['select count(*) as n from orders', { count: ['n'] }],
    ['select count(*) filter (where total > 5) as n from orders', { count: ['n'] }],
    ['select count(distinct customer_id) as n from orders', { count: ['n'] }],
    ['select count(distinct o.customer_id) as n from orders o', { count: ['n'] }],
    [
      'select sum(total) as t, min(total) as "least", max(total) as most from orders',
      { sum: ['t'], min: ['least'], max: ['most'] },
    ],
    ['select sum(total) as t, count(total) as n from orders', { avg: { a: { sum: 't', count: 'n' } } }],
    ['select total(total) as T from orders', { sum: ['T'] }],
    ['select count(*) as n from orders o join lines l on o.customer_id = l.customer_id', { sum: ['n'] }],
  ])('can be merged: %s', (sql, merge) => {
    expect(check(sql, merge)).toBe(sql)
  })

  it('knows counts that are cast, and names in small letters, of PostgreSQL', () => {
    const sql = 'select count(*)::int as N from orders'
    expect(check(sql, { count: ['n'] }, { engine: 'postgres' })).toBe(sql)
    expect(() => check(sql, { count: ['N'] }, { engine: 'postgres' })).toThrow("count: ['n']")
  })

  it.each<[string, MergeOptions, string]>([
    ['select avg(total) as a from orders', { sum: ['a'] }, 'averages of databases make no average'],
    ['select count(distinct status) as n from orders', { count: ['n'] }, 'distinct: true'],
    ['select sum(distinct total) as n from orders', { sum: ['n'] }, 'distinct: true'],
    ['select count(*) from orders', { count: ['n'] }, 'needs a name'],
    ['select count(*) as n from orders', { max: ['n'] }, "count: ['n']"],
    ['select max(total) as n from orders', { sum: ['n'] }, "max: ['n']"],
    ['select coalesce(sum(total), 0) as n from orders', { sum: ['n'] }, 'compute from the merged rows'],
    ['select sum(total) / count(*) as n from orders', { sum: ['n'] }, 'compute from the merged rows'],
    ['select sum(total) * 2 as n from orders', { sum: ['n'] }, 'compute from the merged rows'],
    ['select group_concat(total) as n from orders', { sum: ['n'] }, 'group_concat'],
    [
      'select status, count(*) as n from orders group by status having count(*) > 2',
      { groupBy: ['status'], sum: ['n'] },
      'having as an option',
    ],
    ['select status, count(*) as n from orders group by status', { sum: ['n'] }, 'both must name the same'],
    ['select count(*) as n from orders', { groupBy: ['status'], sum: ['n'] }, 'both must name the same'],
    [
      'select status, count(*) as n from orders group by status, country',
      { groupBy: ['status', 'status'], sum: ['n'] },
      'names a column twice',
    ],
    [
      'select customer_id, count(*) as n from orders group by customer_id',
      { groupBy: ['customer_id'], sum: ['n'] },
      'leave merge out',
    ],
    [
      'select distinct status, count(*) as n from orders group by status',
      { groupBy: ['status'], sum: ['n'] },
      'DISTINCT and merge',
    ],
    ['select total from orders', { sum: ['total'] }, 'leave merge out'],
    [
      'select l.customer_id, count(*) as n from orders o left join lines l on l.customer_id = o.customer_id group by l.customer_id',
      { groupBy: ['customer_id'], count: ['m'] },
      "count: ['n']",
    ],
  ])('is refused: %s %o', (sql, merge, why) => {
    expect(() => check(sql, merge)).toThrow(why)
  })
})

describe('a statement that cannot be merged', () => {
  it.each([
    ['select count(*) as n from orders', 'say in merge'],
    ['select status from orders group by status', 'say in merge'],
    ['select status, max(total) as m from orders group by 1', 'say in merge'],
    ['select * from orders order by id', 'orderBy as an option'],
    ['select * from orders limit 5', 'limit as an option'],
    ['select * from orders limit 5 offset 1', 'limit as an option'],
    ['select * from orders fetch first 5 rows only', 'limit as an option'],
    ['select * from orders for update', 'leave FOR out'],
    ['select id into copy from orders', 'only reads'],
    ['select distinct status from orders', 'distinct: true'],
    ['select * from orders union select * from orders', 'UNION'],
    ['select rank() over (order by total) from orders', 'window'],
    ['select * from orders where total > (select avg(total) from orders)', 'a SELECT in the statement'],
    ['select * from orders where total in vip', 'IN with the name'],
    ['select * from orders where total not in "vip"', 'IN with the name'],
    ['select * from orders where total in main.vip', 'IN with the name'],
    ["select * from orders where total in 'vip'", 'IN with the name'],
    ['select * from orders where total in (table vip)', 'TABLE sees'],
    ['select * from orders where total > ?1limit 5', 'limit as an option'],
    ['select * from orders where total > 1limit 5', 'a number that goes on'],
    ['select 1 from orders having max(total) > 5', 'say in merge'],
    ['with o as (select * from orders) select * from o', 'this begins with with'],
    ['delete from orders', 'this begins with delete'],
    ['select 1; delete from orders', 'more than one statement'],
    ['  ', 'no statement'],
    ['select * from countries', 'reference tables only'],
    ['select * from elsewhere', 'neither a sharded table'],
    ['select 1', 'no table'],
    ['select * from orders o, lines l where o.customer_id = l.customer_id', 'may be in two databases'],
    ['select * from orders o join lines l on o.id = l.order_id', 'ON o.customer_id = l.customer_id'],
    [
      'select * from orders o join lines l on o.customer_id = l.customer_id or o.id = l.id',
      'may be in two databases',
    ],
    ['select * from orders o join lines l on o.customer_id = l.customer_id + 1', 'may be in two databases'],
    ['select * from orders o join lines l on not o.customer_id = l.customer_id', 'may be in two databases'],
    [
      'select * from orders o join lines l on o.total between 1 and o.customer_id = l.customer_id',
      'may be in two databases',
    ],
    [
      'select * from orders o join lines l on case when o.a and o.customer_id = l.customer_id and l.a then 1 else 1 end',
      'may be in two databases',
    ],
    ['select * from orders o join lines l on o.customer_id = o.customer_id', 'may be in two databases'],
    ['select * from orders o join accounts a on o.customer_id = a.customer_id', 'may be in two databases'],
    ['select * from orders join accounts using (customer_id)', 'may be in two databases'],
    ['select * from orders natural join lines', 'where a JOIN would be'],
    ['select * from countries c left join orders o on o.country = c.code', 'once for each database'],
    ['select * from orders o right join countries c on o.country = c.code', 'once for each database'],
    ['select * from orders o full outer join countries c on o.country = c.code', 'once for each database'],
    ['select * from (orders o join lines l on true)', 'no table of its own'],
    ['select * from json_each(?) j', 'no table of its own'],
    ["select * from orders where note = 'open", "a ' that is not closed"],
    ['select * from orders /* open', 'not closed'],
    ['select * from orders /* a /* b */', 'comment in a comment'],
    ['select (1 from orders', 'not closed'],
    ['select 1) from orders', 'not open'],
    [
      'select l.customer_id, count(*) from orders o left join lines l on l.customer_id = o.customer_id group by l.customer_id',
      'say in merge',
    ],
  ])('is refused: %s', (sql, why) => {
    expect(() => check(sql)).toThrow(why)
    expect(() => check(sql)).toThrow(expect.objectContaining({ code: 'BANYAN_QUERY_NOT_MERGEABLE' }))
  })

  it('knows what only PostgreSQL has', () => {
    const postgres = (sql: string): string => check(sql, undefined, { engine: 'postgres' })
    expect(() => postgres('select distinct on (status) * from orders')).toThrow('DISTINCT ON')
    expect(() => postgres('select status from orders group by rollup (status)')).toThrow('groups of groups')
    expect(() => postgres('select * from orders, lateral f(id)')).toThrow('LATERAL')
    expect(() => postgres('select $a$ from orders')).toThrow('$a$ that is not closed')
    expect(() => postgres('select @sum(total) from orders')).toThrow('say in merge')
    expect(() => postgres('select tags[1:count(*)] from orders')).toThrow('say in merge')
    expect(() => postgres('select json_object_agg_unique(id, total) from orders')).toThrow('say in merge')
    expect(() => postgres('select * from orders -- all\rlimit 5')).toThrow('limit as an option')
    expect(() => postgres("select * from orders where a = E'a'\n'\\'' limit 5 --'")).toThrow('limit as')
    expect(() => postgres('select * from orders where total > $1limit 5')).toThrow('limit as an option')
    // The name of a table in capitals is another one.
    expect(() => postgres('select * from Accounts')).toThrow('neither a sharded table')
  })

  it('is sent for whoever says that it can', () => {
    const sql = 'select status, avg(total) as a from orders group by status order by 2 limit 3'
    expect(check(sql, 'concat')).toBe(sql)
    expect(check(sql, { groupBy: ['status'], max: ['a'], unchecked: true })).toBe(sql)
    expect(() => check('select 1; select 2', 'concat')).toThrow('more than one statement')
  })
})
