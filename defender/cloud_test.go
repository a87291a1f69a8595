package defender

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestClouds(t *testing.T) {
	t.Parallel()
	for name, api := range map[string]string{
		"": "https://api.security.microsoft.com", "public": "https://api.security.microsoft.com", "Public": "https://api.security.microsoft.com",
		"gcc":      "https://api-gcc.securitycenter.microsoft.us",
		"gcc-high": "https://api-gov.securitycenter.microsoft.us", "dod": "https://api-gov.securitycenter.microsoft.us",
	} {
		c, err := ParseCloud(name)
		if err != nil || c.APIURL != api || c.Name == "" || !strings.HasSuffix(c.Scope, "/.default") {
			t.Errorf("%q: %+v, %v", name, c, err)
		}
		if u, err := url.Parse(c.AuthorityURL); err != nil || u.Scheme != "https" {
			t.Errorf("%q signs in at %s", name, c.AuthorityURL)
		}
		if !slices.Contains(c.Audiences(), strings.TrimSuffix(c.Scope, "/.default")) {
			t.Errorf("%q: %v lacks its own scope", name, c.Audiences())
		}
		if _, err := New(Config{APIURL: c.APIURL, Tokens: &fixed{}}); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := ParseCloud("azure-china"); !errors.Is(err, ErrConfig) {
		t.Errorf("an unknown cloud: %v", err)
	}
}

func TestRegions(t *testing.T) {
	t.Parallel()
	public, _ := ParseCloud("public")
	for _, region := range []string{"us", "eu", "uk", "au", "swa", "ina", "EU"} {
		c, err := public.Region(region)
		if err != nil || c.APIURL != "https://"+strings.ToLower(region)+".api.security.microsoft.com" || c.Scope != public.Scope {
			t.Errorf("%s: %+v, %v", region, c, err)
		}
	}
	if c, err := public.Region(""); err != nil || c != public {
		t.Errorf("no region: %+v, %v", c, err)
	}
	if _, err := public.Region("mars"); !errors.Is(err, ErrConfig) {
		t.Errorf("an unknown region: %v", err)
	}
	gcc, _ := ParseCloud("gcc")
	if _, err := gcc.Region("us"); !errors.Is(err, ErrConfig) {
		t.Errorf("a region of gcc: %v", err)
	}
	if c, err := gcc.Region(""); err != nil || c != gcc {
		t.Errorf("no region of gcc: %+v, %v", c, err)
	}
}
