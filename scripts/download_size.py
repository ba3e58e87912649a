"""Says how much pip would download for its arguments (as for 'pip install'), before it does."""

import json
import os
import ssl
import subprocess
import sys
import urllib.parse
import urllib.request


def size_of(url: str) -> int:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "file":
        return os.stat(urllib.request.url2pathname(parts.path)).st_size
    context = ssl.create_default_context(cafile=os.environ.get("PIP_CERT"))
    request = urllib.request.Request(url, method="HEAD")
    with urllib.request.urlopen(request, timeout=30, context=context) as answer:
        return int(answer.headers["Content-Length"])


def main() -> int:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--report", "-", *sys.argv[1:]]
    try:
        report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        files = [entry["download_info"]["url"] for entry in report["install"]]
        total = sum(size_of(url) for url in files)
    except (OSError, ValueError, KeyError, TypeError, subprocess.CalledProcessError) as error:
        print(f"ingrain: the download's size is not known ({error}); a CUDA build of torch is several GB")
        return 0
    cuda = any("nvidia" in url.rsplit("/", 1)[-1] for url in files)
    kind = "a CUDA build of torch" if cuda else "a CPU build of torch"
    unpacked = total * 2.5
    print(f"ingrain: {kind}: {len(files)} packages, {total / 1e6:,.0f} MB to download (less what pip's cache holds), "
          f"about {unpacked / 1e9:.1f} GB on disk")
    return 0


if __name__ == "__main__":
    sys.exit(main())
