"""A login in Django, its sessions in the database (made by ``shop.py migrate``) or, if SESSIONS=cache, the cache."""

import os
import sys
from pathlib import Path

import django
from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import redirect
from django.urls import path

settings.configure(
    SECRET_KEY="the same for all replicas",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django.contrib.sessions"],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
    ],
    SESSION_ENGINE=f"django.contrib.sessions.backends.{os.environ.get('SESSIONS', 'db')}",
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": Path(__file__).with_name("shop.sqlite3"),
            "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=WAL;"},
        }
    },
)
django.setup()


def health(request):
    return HttpResponse("ok")


def home(request):
    if "user" not in request.session:
        return redirect("/login/")
    return HttpResponse(f"<p>Signed in as {request.session['user']}</p>")


def login(request):
    if request.method == "POST" and request.POST.get("password") == "secret":
        request.session.cycle_key()
        request.session["user"] = request.POST["username"]
        return redirect("/")
    field = f'<input type="hidden" name="csrfmiddlewaretoken" value="{get_token(request)}">'
    return HttpResponse(f'<form method="post">{field}<input name="username"><input name="password"></form>')


urlpatterns = [path("health", health), path("", home), path("login/", login)]
application = get_wsgi_application()

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
