"""The proxy's own configuration in a real nginx: TLS 1.3, HTTP/2, logins, and what its log does not hold."""

from __future__ import annotations

import http.server
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time

import pytest

from tests.deploy.stack import COMPOSE, missing, run


class Upstream(http.server.BaseHTTPRequestHandler):
    """Answers with what it was asked: path and authorization."""

    protocol_version = "HTTP/1.1"

    def _answer(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = json.dumps({"path": self.path, "authorization": self.headers.get("Authorization", "")}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = _answer  # noqa: N815  http.server's names

    def log_message(self, *arguments):
        pass


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture(scope="module")
def proxy(tmp_path_factory):
    """The stack's own nginx configuration, with addresses and folders of this machine: (url, folder of the stack, log)."""
    if reason := missing("nginx", "curl", "openssl"):
        pytest.skip(reason)
    stack = tmp_path_factory.mktemp("stack")
    shutil.copy(COMPOSE / "make-secrets.sh", stack)
    assert run("sh", stack / "make-secrets.sh", "localhost").returncode == 0
    stack.chmod(0o755)
    upstream = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    port, log = free_port(), stack / "access.log"
    text = (COMPOSE / "nginx.conf").read_text()
    text = re.sub(r"http://(server:8000|node:8104|grafana:3000);", f"http://127.0.0.1:{upstream.server_port};", text)
    changes = {
        " /tmp/": f" {stack}/",
        "listen 8443": f"listen 127.0.0.1:{port}",
        "/run/secrets/": f"{stack}/secrets/",
        "/dev/stdout": str(log),
        "/dev/stderr": str(stack / "error.log"),
    }
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    (stack / "nginx.conf").write_text("user root;\n" + text if os.geteuid() == 0 else text)
    process = subprocess.Popen(["nginx", "-e", str(stack / "error.log"), "-c", str(stack / "nginx.conf"), "-g", "daemon off;"])
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        assert process.poll() is None, (stack / "error.log").read_text()
        time.sleep(0.05)
    yield f"https://localhost:{port}", stack, log
    process.terminate()
    process.wait(20)
    upstream.shutdown()


class TestProxy:
    def ask(self, proxy, path, *options, user=True):
        url, stack, _ = proxy
        login = ["--user", f"braintumor:{(stack / 'secrets/proxy_password').read_text()}"] if user else []
        shown = "%{http_version} %{ssl_verify_result} %{http_code}"
        answer = run(
            "curl",
            "--silent",
            "--cacert",
            stack / "secrets/proxy.crt",
            "--write-out",
            f"\n{shown}",
            *login,
            *options,
            url + path,
        )
        body, _, facts = answer.stdout.rpartition("\n")
        version, verified, code = facts.split()
        return body, version, verified, int(code)

    def test_http_2_over_tls_1_3(self, proxy):
        body, version, verified, code = self.ask(proxy, "/studies", "--http2", "--tlsv1.3")
        assert (version, verified, code) == ("2", "0", 200)
        assert json.loads(body) == {"path": "/studies", "authorization": ""}  # the login stays at the proxy

    def test_nothing_older_than_tls_1_3(self, proxy):
        context = ssl.create_default_context(cafile=str(proxy[1] / "secrets/proxy.crt"))
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        port = int(proxy[0].rpartition(":")[2])
        with (
            socket.create_connection(("127.0.0.1", port)) as plain,
            pytest.raises(ssl.SSLError),
            context.wrap_socket(plain, server_hostname="localhost"),
        ):
            pass

    @pytest.mark.parametrize("path", ["/", "/dicom-web/studies", "/node/", "/node/api/studies"])
    def test_a_login_is_needed(self, proxy, path):
        assert self.ask(proxy, path, user=False)[3] == 401
        assert self.ask(proxy, path)[3] == 200

    def test_the_node_s_pages_lie_below_their_own_path(self, proxy):
        assert json.loads(self.ask(proxy, "/node/api/studies?limit=5")[0])["path"] == "/api/studies?limit=5"
        assert json.loads(self.ask(proxy, "/node/status.css")[0])["path"] == "/status.css"
        assert self.ask(proxy, "/node/metrics")[3] == 404

    @pytest.mark.parametrize("path", ["/api/studies/S-abc/retry", "/dicom-web/studies"])
    def test_the_node_s_token_goes_through_to_the_node(self, proxy, path):
        body, *_, code = self.ask(proxy, f"/node{path}", "--request", "POST", "--oauth2-bearer", "t", user=False)
        assert (code, json.loads(body)) == (200, {"path": path, "authorization": "Bearer t"})

    def test_grafana_gets_no_login_of_the_proxy(self, proxy):
        assert json.loads(self.ask(proxy, "/grafana/login")[0]) == {"path": "/grafana/login", "authorization": ""}

    def test_health_needs_no_login(self, proxy):
        assert self.ask(proxy, "/healthz", user=False)[::3] == ("ok\n", 200)

    def test_a_large_body_passes_and_touches_no_disk(self, proxy, tmp_path):
        (tmp_path / "body").write_bytes(bytes(20_000_000))
        assert self.ask(proxy, "/dicom-web/studies", "--data-binary", f"@{tmp_path / 'body'}")[3] == 200
        assert not [path for path in (proxy[1] / "body").rglob("*") if path.is_file()]

    def test_no_address_of_a_page_is_logged(self, proxy):
        self.ask(proxy, "/dicom-web/studies/1.2.840.99?PatientName=MEYER")
        lines = [json.loads(line) for line in proxy[2].read_text().splitlines()]
        assert lines[-1]["status"] == 200
        assert "1.2.840" not in json.dumps(lines)
        assert "MEYER" not in json.dumps(lines) + (proxy[1] / "error.log").read_text()
