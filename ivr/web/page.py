"""The page at `/`: what this is and where to look. Static; holds no data."""

PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'"

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>ivr</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 44rem; margin: 2rem auto; padding: 0 1rem }
  dt { font-family: ui-monospace, monospace; margin-top: .7rem }
  dd { margin: 0 0 0 1.5rem }
</style>
<h1>ivr</h1>
<p>A telephone server that listens. Everything but the two health pages needs
<code>Authorization: Bearer &lt;token&gt;</code>.</p>
<dl>
  <dt><a href="/healthz">/healthz</a></dt>
  <dd>lines, trunks, speech models, dialplans and the database, with a verdict</dd>
  <dt><a href="/readyz">/readyz</a></dt>
  <dd>200 while calls are taken, 503 while starting or draining</dd>
  <dt><a href="/metrics">/metrics</a></dt>
  <dd>Prometheus metrics</dd>
  <dt><a href="/v1/calls">/v1/calls</a></dt>
  <dd>calls, newest first; parameters cursor, limit, since, until, number, caller, cause, language, plan</dd>
  <dt>/v1/calls/{id}</dt>
  <dd>one call: its legs and turns, who ended it and why</dd>
  <dt>/v1/calls/{id}/inputs</dt>
  <dd>what was given to its dialog, in order; <code>ivr replay</code> runs it through a draft of a plan</dd>
  <dt>/v1/calls/{id}/recording</dt>
  <dd>its recording, a stereo WAV: left the caller, right the server</dd>
  <dt>/v1/messages/{name}</dt>
  <dd>a message that a caller left</dd>
  <dt><a href="/v1/plans">/v1/plans</a></dt>
  <dd>dialplans in force: version, since when, faults, calls running on each version</dd>
  <dt>/v1/plans/{name}</dt>
  <dd>one of them</dd>
  <dt>POST /v1/plans/reload</dt>
  <dd>load the dialplans now; what was loaded, and every fault</dd>
  <dt>POST /v1/kb/search</dt>
  <dd>the entries of the knowledge base that answer a question, with their scores</dd>
  <dt><a href="/v1/kb/entries">/v1/kb/entries</a></dt>
  <dd>the entries; POST adds one</dd>
  <dt>/v1/kb/entries/{id}</dt>
  <dd>one of them; PUT changes it, DELETE takes it out</dd>
  <dt>/v1/kb/entries/{id}/versions</dt>
  <dd>all its versions</dd>
  <dt>POST /v1/kb/entries/{id}/rollback</dt>
  <dd>put one of them back</dd>
  <dt><a href="/v1/jobs">/v1/jobs</a>, <a href="/v1/verifications">/v1/verifications</a></dt>
  <dd>outbound calls, where some are configured, the newest first; POST orders one, POST /v1/jobs/bulk and
    /v1/verifications/bulk many, one a line</dd>
  <dt>/v1/jobs/{id}, /v1/verifications/{id}</dt>
  <dd>one of them. Behind it: /why it waits, its /events, /webhooks and /evidence; POST /cancel, /retry, /redeliver</dd>
  <dt><a href="/v1/jobs/policies">/v1/jobs/policies</a></dt>
  <dd>what every policy does, and what holds its jobs; POST /v1/jobs/pause and /v1/jobs/resume stop and start them</dd>
  <dt><a href="/v1/suppressions">/v1/suppressions</a></dt>
  <dd>the do-not-call list; POST adds to it, DELETE /v1/suppressions/{id} takes off</dd>
  <dt><a href="/v1/evidence/key">/v1/evidence/key</a></dt>
  <dd>the public key that outcomes are signed with</dd>
  <dt>/v1/intents/review</dt>
  <dd>what nobody understood, in groups; parameters plan, language; POST decides what to do about a group</dd>
  <dt><a href="/openapi.json">/openapi.json</a></dt>
  <dd>all of this for programs (OpenAPI 3.1)</dd>
</dl>
</html>
"""
